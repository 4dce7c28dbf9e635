"""From kernel text to LLVM's text, for any machine, and the cache of what is built."""
