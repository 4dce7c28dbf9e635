"""The errors that a user meets: each says which block, where, expected, got, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class DiagradError(Exception):
    """Any mistake that diagrad finds in what it is given."""


class DiagramError(DiagradError):
    """A mistake in how a diagram is drawn; `mistakes` holds each where there are several."""

    def __init__(self, message: str, mistakes: Sequence[DiagramError] = ()) -> None:
        super().__init__(message)
        self.mistakes: tuple[DiagramError, ...] = tuple(mistakes) or (self,)
        self._located = False

    def locate(self, place: Callable[[str], str] | None = None) -> None:
        """Let `place` say in the text where the mistake was made, the first time; then it is."""
        if place is not None and not self._located:
            self.args = (place(str(self)),)
        self._located = True


class ShapeError(DiagramError, ValueError):
    """Shapes that do not fit."""


class DtypeError(DiagramError, TypeError):
    """Dtypes that do not fit; nothing is ever promoted silently."""


class NameTakenError(DiagramError):
    """One name for two things."""


class UnusedError(DiagramError):
    """A way into a loop that nothing in the loop uses."""


class CycleError(DiagramError):
    """A variable that depends on itself without a delay."""


class InputError(DiagradError, ValueError):
    """A call was given an input that it cannot take."""


class TargetError(DiagradError, RuntimeError):
    """A target that this machine cannot run: what it lacks, and what to do."""


class CheckpointError(DiagradError, ValueError):
    """A file of parameters that does not fit the program, or is damaged."""


class LayoutError(RuntimeError):
    """No layout engine is installed, or the one that is refused the picture."""


class DiagramWarning(UserWarning):
    """Something in a diagram that is allowed, and seldom meant."""


class UnusedWarning(DiagramWarning):
    """An observed variable that nothing uses."""


def raise_together(where: str, mistakes: Sequence[DiagramError]) -> None:
    """Raise the one mistake itself, or one DiagramError that lists them all; nothing for none."""
    unique = list(dict.fromkeys(mistakes))
    if len(unique) == 1:
        raise unique[0]
    if unique:
        lines = [
            f"  {number}. {type(item).__name__}: {item}" for number, item in enumerate(unique, 1)
        ]
        raise DiagramError(f"{where} has {len(unique)} mistakes:\n" + "\n".join(lines), unique)
