"""`python -m diagrad render|summary|run FILE[:diagram]`, for the diagrams of a script.

The script is run as it stands, but for what it guards with `if __name__ == "__main__"`.  A mistake
in the arguments is one line and exit code 2; a mistake in a diagram is its message and code 1.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from .diagram import Diagram
from .errors import DiagradError

_PROGRAM = "python -m diagrad"
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
        return _summary(diagram, options)
    except DiagradError as error:
        return _complain(f"{type(error).__name__}: {error}", 1)


def _complain(message: str, code: int) -> int:
    print(f"{_PROGRAM}: error: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    from .pictures.stages import STAGES

    parser = _Parser(prog=_PROGRAM, description="Draw, count and run the diagrams of a script.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="render|summary|run")
    render = commands.add_parser("render", help="draw a diagram", epilog=_EPILOG)
    render.add_argument("file", metavar="FILE[:diagram]")
    render.add_argument(
        "-o", "--output", metavar="PATH", help="an .svg or .png; by default FILE's name"
    )
    render.add_argument("--stage", choices=tuple(STAGES), default="drawn")
    render.add_argument(
        "--depth", type=_depth, default=1, metavar="N|all", help="levels of blocks; by default 1"
    )
    summary = commands.add_parser("summary", help="count what a diagram costs", epilog=_EPILOG)
    summary.add_argument("file", metavar="FILE[:diagram]")
    summary.add_argument("sizes", nargs="*", type=_size, metavar="NAME=SIZE", help="such as B=64")
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


def _size(text: str) -> tuple[str, int]:
    name, equals, size = text.partition("=")
    if not equals or not name.isidentifier() or not size.isdecimal() or int(size) < 1:
        raise argparse.ArgumentTypeError(f"expected a size such as B=64, got {text!r}")
    return name, int(size)


def _render(diagram: Diagram, options: argparse.Namespace) -> int:
    from .pictures import LayoutError

    output = options.output or f"{_split(options.file)[0].stem}.svg"
    try:
        path = diagram.render(output, stage=options.stage, depth=options.depth)
    except ValueError as error:
        raise _MisuseError(str(error)) from None
    except OSError as error:
        reason = f"cannot write {output}: {error.strerror}" if error.strerror else str(error)
        raise _MisuseError(reason) from None
    except (LayoutError, ImportError) as error:
        return _complain(str(error), 1)
    print(path)
    return 0


def _summary(diagram: Diagram, options: argparse.Namespace) -> int:
    try:
        print(diagram.summary(**dict(options.sizes)))
    except ValueError as error:
        raise _MisuseError(str(error)) from None
    return 0


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
