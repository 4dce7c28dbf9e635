"""The CPU engine: kernel text to native code, kept in a cache, and the walk over a program.

Importing this package never imports Numba: that happens in `build`, and only when a kernel is
in no cache.
"""

from .executor import Executor

__all__ = ["Executor"]
