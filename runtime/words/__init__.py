"""The words of kernel text, as LLVM's instructions for a machine: a vector of lanes, or a warp."""
