"""The CUDA target: kernel text built for an NVIDIA device, and the step that runs there."""
