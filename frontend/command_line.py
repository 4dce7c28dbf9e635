"""`python -m diagrad render|summary|profile|run FILE[:diagram]`, for the diagrams of a script.

`python -m diagrad targets` is for the machine.

The script is run as it stands, but for what it guards with `if __name__ == "__main__"`, and up to
its first training (`loading.py`).  A mistake in the arguments is one line and exit code 2, told
before the script is run where that can be seen; a mistake in a diagram is its message and code 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from .diagram import Diagram
from .errors import DiagradError
from .files import picture_path, target_of
from .reports.usable_targets import targets
from .scripts import MisuseError, find_diagram, run_script, split

if TYPE_CHECKING:
    from .programs.execution import Execution, Method

_PROGRAM = "python -m diagrad"
_OPTIMIZERS = (
    "SGD", "Lion", "Adagrad", "Adadelta", "RMSprop", "Adam", "AdamW", "NAdam", "RAdam",
)  # fmt: skip
_BATCH = 64
"""What a size is that nobody has said, where there is one."""
_EPILOG = (
    "FILE is a Python script, and diagram the name of a dg.Diagram in it; FILE alone is enough "
    "where there is one."
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise MisuseError(message)


def main(arguments: Sequence[str] | None = None, version: str = "") -> int:
    """Do what the arguments (by default the process's) say; the exit code."""
    try:
        parser = _parser(f"diagrad {version}".rstrip())
        options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
        if options.command == "run":
            run_script(options.file, options.arguments)
            return 0
        if options.command == "targets":
            print(targets())
            return 0
        return _look(options)
    except MisuseError as error:
        return _complain(str(error), 2)


def _look(options: argparse.Namespace) -> int:
    try:
        _check_targets(options)
        diagram = find_diagram(options.file)
        if options.command == "render":
            return _render(diagram, options)
        if options.command == "profile":
            return _profile(diagram, options)
        return _summary(diagram, options)
    except DiagradError as error:
        return _complain(f"{type(error).__name__}: {error}", 1)


def _check_targets(options: argparse.Namespace) -> None:
    """MisuseError for a file that could not be written, before a script is run for it."""
    if options.command == "render":
        options.output = options.output or f"{split(options.file)[0].stem}.svg"
        try:
            picture_path(options.output)
        except ValueError as error:
            raise MisuseError(str(error)) from None
    written = getattr(options, "output", None) or getattr(options, "trace", None)
    if written is not None:
        try:
            target_of(written)
        except OSError as error:
            raise MisuseError(_unwritten(written, error)) from None


def _complain(message: str, code: int) -> int:
    print(f"{_PROGRAM}: error: {message}", file=sys.stderr)
    return code


def _parser(version: str) -> argparse.ArgumentParser:
    from .pictures.layout.layout import LAYOUTS
    from .pictures.stages.stages import STAGES

    parser = _Parser(
        prog=_PROGRAM, description="Draw, count, time and run the diagrams of a script."
    )
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="render|summary|profile|run|targets"
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
    render.add_argument(
        "--layout",
        choices=tuple(LAYOUTS),
        default="wasm",
        help="the Graphviz that pip installs (by default), or the system's program dot",
    )
    render.add_argument(
        "--unroll", type=_unroll, default=1, metavar="N|all", help="steps of a loop in one turn"
    )
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
    profile.add_argument(
        "--unroll", type=_unroll, default=1, metavar="N|all", help="steps of a loop in one turn"
    )
    profile.add_argument("--top", type=_depth, default=12, metavar="N|all", help="lines of a table")
    profile.add_argument("--trace", metavar="OUT.json", help="write a step for ui.perfetto.dev")
    run = commands.add_parser("run", help="run a script")
    run.add_argument("file", metavar="FILE")
    run.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="the script's own")
    commands.add_parser("targets", help="list what this machine can run programs on")
    return parser


def _depth(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of 1 or more, or all, got {text!r}")
    return int(text)


def _unroll(text: str) -> int:
    found = _depth(text)
    return True if found is None else found


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

    output = options.output
    try:
        path = diagram.render(
            output, options.stage, options.depth, options.steps, options.layout, options.unroll
        )
    except ValueError as error:
        raise MisuseError(str(error)) from None
    except OSError as error:
        raise MisuseError(_unwritten(output, error)) from None
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
        raise MisuseError(str(error)) from None
    return 0


def _profile(diagram: Diagram, options: argparse.Namespace) -> int:
    from .programs.sample_inputs import sample_inputs, sample_text
    from .training import optimizers
    from .variables.dependencies import ordered

    cost = diagram.cost
    nothing_to_run = cost is None and not diagram.outputs
    method: Method = options.method or ("step" if cost is not None or nothing_to_run else "run")
    if method == "step" and cost is None and not diagram.updates:
        raise MisuseError(f"diagram '{diagram.name}' has no cost to make a step for: --method run")
    trains = method == "step" and cost is not None
    optimizer = getattr(optimizers, options.optimizer)(1e-3) if trains else None
    program = diagram.compile(optimizer, threads=options.threads, unroll=options.unroll)
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
            raise MisuseError(_unwritten(options.trace, error)) from None
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
        raise MisuseError(
            f"profile of '{diagram.name}' expects sizes out of {', '.join(known) or 'none'}, got "
            f"{unknown[0]}"
        )
    sizes = {**dict.fromkeys(known if len(known) == 1 else (), _BATCH), **given}
    missing = [name for name in known if name not in sizes]
    if missing:
        raise MisuseError(
            f"profile of '{diagram.name}' needs the sizes {', '.join(known)}: add "
            + " ".join(f"{name}=..." for name in missing)
        )
    return sizes
