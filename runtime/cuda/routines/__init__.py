"""What a kernel calls by name: products and turned copies, as texts of the kernel language."""
