"""Objects whose public attributes stay as they were made: a misspelt one is not set silently."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar


class Sealing(type):
    """The type of classes whose instances are sealed once they are made, subclasses' too."""

    def __call__(cls, *given: Any, **options: Any) -> Any:
        """Make one, and seal it."""
        made = super().__call__(*given, **options)
        made._seal()
        return made

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of the constructor, for `help` and editors: not that of `__call__` above."""
        constructor = inspect.signature(cls.__init__)  # type: ignore[misc]
        return inspect.Signature(list(constructor.parameters.values())[1:])


class Sealed(metaclass=Sealing):
    """Refuses to set public attributes from the moment `_seal` is called.

    Attributes:
        _settable: those that can be set all the same; the class says what that does.
        _instead: what to do instead of setting one that the object has.
    """

    _settable: ClassVar[tuple[str, ...]] = ()
    _instead: ClassVar[str] = "make another one"
    _sealed = False

    def __setattr__(self, name: str, value: Any) -> None:
        if self._sealed and not name.startswith("_") and name not in self._settable:
            raise AttributeError(self._refusal(name))
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if self._sealed and not name.startswith("_"):
            raise AttributeError(f"{self!r} keeps its {name}")
        super().__delattr__(name)

    def _seal(self) -> None:
        object.__setattr__(self, "_sealed", True)

    def _refusal(self, name: str) -> str:
        from difflib import get_close_matches  # Not for `import diagrad`.

        if hasattr(type(self), name) or name in vars(self):
            return f"{self!r} cannot change its {name}: {self._instead}"
        known = [item for item in {*dir(type(self)), *vars(self)} if not item.startswith("_")]
        close = get_close_matches(_MEANT.get(name, name), sorted(known), 1)
        meant = f": {close[0]} is what it has" if close else ""
        return f"{self!r} has no attribute {name!r} to set{meant}"


_MEANT = {"lr": "learning_rate", "rate": "learning_rate", "params": "parameters"}
"""What other libraries call things."""
