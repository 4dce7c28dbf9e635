"""Drawing with blocks, loops and states, and lowering what was drawn to a graph."""
