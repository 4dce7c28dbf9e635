"""A script that is run for the diagrams it draws: the first training ends it.

`python -m diagrad render train.py` wants the diagram, not the hours of training that stand below
it.  The script is run as it stands, under another name than "__main__"; when it first asks for
training (`dg.fit`, or the first `step` of any program) and what was asked for is drawn, loading is
over.  Where it is not drawn yet, training goes on as the script has it: nothing is left out, and no
result is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class TrainingBegins(BaseException):
    """Ends the loading of a script; no `except Exception` of the script stops it."""


_enough: list[Callable[[], bool]] = []


def training_begins() -> None:
    """Say that the user's program is about to train."""
    if _enough and _enough[-1]():
        raise TrainingBegins


@contextmanager
def until_training(enough: Callable[[], bool]) -> Iterator[None]:
    """Run what is inside up to its end, or to the first training at which `enough()` is true."""
    _enough.append(enough)
    try:
        yield
    except TrainingBegins:
        pass
    finally:
        _enough.pop()
