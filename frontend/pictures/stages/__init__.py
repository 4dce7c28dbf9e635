"""Each stage of a diagram as a picture: drawn, unrolled, backward, graph, kernels."""
