"""The blocks, functions and costs that come with the house."""
