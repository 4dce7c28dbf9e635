"""From kernel text to a cubin, and its place in the cache."""
