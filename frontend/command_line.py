"""`python -m diagrad render|summary|profile|run FILE[:diagram]`, for the diagrams of a script.

The script is run as it stands, but for what it guards with `if __name__ == "__main__"`.  A mistake
in the arguments is one line and exit code 2; a mistake in a diagram is its message and code 1.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .diagram import Diagram
from .errors import DiagradError

if TYPE_CHECKING:
    from .execution import Execution
    from .profiling import Method

_PROGRAM = "python -m diagrad"
_OPTIMIZERS = ("SGD", "RMSprop", "Adam", "AdamW")
_BATCH = 64
"""What a size is that nobody has said, where there is one."""
_EPILOG = (
    "FILE is a Python script, and diagram the name of a dg.Diagram in it; FILE alone is enough "
    "where there is one."
)


class _MisuseError(Exception):
    """A mistake in the arguments."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _MisuseError(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments (by default the process's) say; the exit code."""
    try:
        options = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
        if options.command == "run":
            return _run(options.file, options.arguments)
        return _look(options)
    except _MisuseError as error:
        return _complain(str(error), 2)


def _look(options: argparse.Namespace) -> int:
    try:
        diagram = _find(options.file)
        if options.command == "render":
            return _render(diagram, options)
        if options.command == "profile":
            return _profile(diagram, options)
        return _summary(diagram, options)
    except DiagradError as error:
        return _complain(f"{type(error).__name__}: {error}", 1)


def _complain(message: str, code: int) -> int:
    print(f"{_PROGRAM}: error: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    from .pictures.stages import STAGES

    parser = _Parser(
        prog=_PROGRAM, description="Draw, count, time and run the diagrams of a script."
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="render|summary|profile|run"
    )
    render = commands.add_parser("render", help="draw a diagram", epilog=_EPILOG)
    render.add_argument("file", metavar="FILE[:diagram]")
    render.add_argument(
        "-o", "--output", metavar="PATH", help="an .svg or .png; by default FILE's name"
    )
    render.add_argument("--stage", choices=tuple(STAGES), default="drawn")
    render.add_argument(
        "--depth", type=_depth, default=1, metavar="N|all", help="levels of blocks; by default 1"
    )
    render.add_argument("--steps", type=_count, metavar="N", help="copies of an unrolled loop")
    summary = commands.add_parser("summary", help="count what a diagram costs", epilog=_EPILOG)
    summary.add_argument("file", metavar="FILE[:diagram]")
    summary.add_argument("sizes", nargs="*", type=_size, metavar="NAME=SIZE", help="such as B=64")
    profile = commands.add_parser(
        "profile", help="measure where the time of a step goes, on made-up inputs", epilog=_EPILOG
    )
    profile.add_argument("file", metavar="FILE[:diagram]")
    profile.add_argument("sizes", nargs="*", type=_size, metavar="NAME=SIZE", help="such as B=64")
    profile.add_argument(
        "--method", choices=("step", "run"), help="by default step where there is a cost"
    )
    profile.add_argument("--optimizer", choices=_OPTIMIZERS, default="SGD", help="of a step")
    profile.add_argument("--repeats", type=_count, default=20, metavar="N", help="by default 20")
    profile.add_argument("--threads", type=_count, metavar="N", help="by default as many as cores")
    profile.add_argument("--top", type=_depth, default=12, metavar="N|all", help="lines of a table")
    profile.add_argument("--trace", metavar="OUT.json", help="write a step for ui.perfetto.dev")
    run = commands.add_parser("run", help="run a script")
    run.add_argument("file", metavar="FILE")
    run.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="the script's own")
    return parser


def _depth(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of 1 or more, or all, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of 1 or more, got {text!r}")
    return int(text)


def _size(text: str) -> tuple[str, int]:
    name, equals, size = text.partition("=")
    if not equals or not name.isidentifier() or not size.isdecimal() or int(size) < 1:
        raise argparse.ArgumentTypeError(f"expected a size such as B=64, got {text!r}")
    return name, int(size)


def _render(diagram: Diagram, options: argparse.Namespace) -> int:
    from .pictures import LayoutError

    output = options.output or f"{_split(options.file)[0].stem}.svg"
    try:
        path = diagram.render(output, stage=options.stage, depth=options.depth, steps=options.steps)
    except ValueError as error:
        raise _MisuseError(str(error)) from None
    except OSError as error:
        raise _MisuseError(_unwritten(output, error)) from None
    except (LayoutError, ImportError) as error:
        return _complain(str(error), 1)
    print(path)
    return 0


def _unwritten(path: str, error: OSError) -> str:
    return f"cannot write {path}: {error.strerror}" if error.strerror else str(error)


def _summary(diagram: Diagram, options: argparse.Namespace) -> int:
    try:
        print(diagram.summary(**dict(options.sizes)))
    except ValueError as error:
        raise _MisuseError(str(error)) from None
    return 0


def _profile(diagram: Diagram, options: argparse.Namespace) -> int:
    from . import optimizers
    from .dependencies import ordered
    from .sample_inputs import sample_inputs, sample_text

    cost = diagram.cost
    method: Method = options.method or ("step" if cost is not None else "run")
    if method == "step" and cost is None:
        raise _MisuseError(f"diagram '{diagram.name}' has no cost to make a step for: --method run")
    optimizer = getattr(optimizers, options.optimizer)(1e-3) if method == "step" else None
    program = diagram.compile(optimizer, threads=options.threads)
    wanted = [*diagram.outputs.values()] or [item for item in (cost,) if item is not None]
    reached = set(ordered(wanted, {}))
    given = {name: None for name, item in diagram.observed.items() if item in reached}
    execution = program.execution(method, given)
    sizes = _profiled_sizes(diagram, execution, dict(options.sizes))
    inputs = sample_inputs(execution.expected, execution.graph.checks, sizes)
    found = program.profile(method, options.repeats, **inputs)
    print(f"made-up inputs: {sample_text(inputs)}")
    print(found.table(options.top))
    if options.trace:
        try:
            found.chrome_trace(options.trace)
        except OSError as error:
            raise _MisuseError(_unwritten(options.trace, error)) from None
        print(f"the course of a step is in {options.trace}: open it in ui.perfetto.dev")
    return 0


def _profiled_sizes(
    diagram: Diagram, execution: Execution, given: dict[str, int]
) -> dict[str, int]:
    """All named sizes of the inputs; where there is one, it need not be given."""
    from ..compiler.sizes import names

    extents = [extent for item in execution.expected for extent in item.shape]
    known = list(dict.fromkeys(name for extent in extents for name in sorted(names(extent))))
    unknown = [name for name in given if name not in known]
    if unknown:
        raise _MisuseError(
            f"profile of '{diagram.name}' expects sizes out of {', '.join(known) or 'none'}, got "
            f"{unknown[0]}"
        )
    sizes = {**dict.fromkeys(known if len(known) == 1 else (), _BATCH), **given}
    missing = [name for name in known if name not in sizes]
    if missing:
        raise _MisuseError(
            f"profile of '{diagram.name}' needs the sizes {', '.join(known)}: add "
            + " ".join(f"{name}=..." for name in missing)
        )
    return sizes


def _run(file: str, arguments: Sequence[str]) -> int:
    path = _existing(Path(file))
    _execute(path, "__main__", arguments)
    return 0


def _find(text: str) -> Diagram:
    """The diagram that FILE[:diagram] means."""
    path, name = _split(text)
    found = {
        key: value
        for key, value in _execute(path, "diagrad_script", ()).items()
        if isinstance(value, Diagram)
    }
    named = ", ".join(found) or "none"
    if name is not None:
        if name not in found:
            raise _MisuseError(f"{path} has no diagram called {name}; its diagrams: {named}")
        return found[name]
    different = list(dict.fromkeys(found.values()))
    if not different:
        raise _MisuseError(f"{path} has no diagram: no global variable of it is a dg.Diagram")
    if len(different) > 1:
        first = next(iter(found))
        raise _MisuseError(f"{path} has several diagrams ({named}): choose one, as {path}:{first}")
    return different[0]


def _split(text: str) -> tuple[Path, str | None]:
    if Path(text).is_file():
        return Path(text), None
    file, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        return _existing(Path(text)), None
    return _existing(Path(file)), name


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise _MisuseError(f"there is no file {path}")
    return path


def _execute(path: Path, name: str, arguments: Sequence[str]) -> dict[str, object]:
    """The globals of a script that is run under a name, with its folder and arguments in place."""
    before = sys.path[:], sys.argv[:]
    sys.path.insert(0, str(path.resolve().parent))
    sys.argv[:] = [str(path), *arguments]
    try:
        return runpy.run_path(str(path), run_name=name)
    finally:
        sys.path[:], sys.argv[:] = before
