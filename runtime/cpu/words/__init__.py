"""The words of kernel text, as LLVM instructions on 16 lanes."""
