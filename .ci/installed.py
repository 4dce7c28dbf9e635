"""Check that the wheel that was installed holds every file of the package, and nothing else.

Run it with the Python of an environment that has a regular (not an editable) install.
"""

import sys
from importlib.metadata import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("compiler", "frontend", "runtime")


def in_tree() -> set[str]:
    """Return the files that the wheel should hold, as they are named inside of it."""
    paths = {path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()}
    paths = {Path("diagrad") / path.relative_to(ROOT) for path in paths}
    paths |= {path.relative_to(ROOT) for path in (ROOT / "diagrad").glob("*.*") if path.is_file()}
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}


def installed() -> set[str]:
    """Return the files of the package that are installed."""
    paths = {str(path) for path in files("diagrad") or ()}
    return {path for path in paths if path.startswith("diagrad/") and "__pycache__" not in path}


if __name__ == "__main__":
    missing, foreign = in_tree() - installed(), installed() - in_tree()
    if missing or foreign:
        sys.exit(f"missing in the wheel: {sorted(missing)}; only in the wheel: {sorted(foreign)}")
    print(f"the wheel holds the {len(in_tree())} files of the package")
