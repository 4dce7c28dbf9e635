"""What this machine can run, and why not the rest, as a table: `dg.targets`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..programs.targets import ENGINES

_HEAD = ("target", "usable", "")


@dataclass(frozen=True)
class UsableTarget:
    """A target on this machine.

    Attributes:
        name: what `compile` takes.
        usable: whether this machine can run it.
        machine: what it runs on here; empty where it cannot.
        missing: what is missing and what to do; empty where it can.
    """

    name: str
    usable: bool
    machine: str
    missing: str


class Targets(Mapping[str, UsableTarget]):
    """The targets by name; printed, a table."""

    def __init__(self, rows: Mapping[str, UsableTarget]) -> None:
        self._rows = dict(rows)

    def __getitem__(self, name: str) -> UsableTarget:
        if name not in self._rows:
            raise KeyError(f"no target {name!r}; there are {', '.join(self._rows)}")
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __str__(self) -> str:
        cells = [
            (row.name, "yes" if row.usable else "no", row.machine or row.missing)
            for row in self._rows.values()
        ]
        widths = [max(map(len, column)) for column in zip(_HEAD, *cells, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (_HEAD, *cells)
        ]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def targets() -> Targets:
    """What this machine can run: every target, what it runs on here, or what is missing for it.

        >>> print(dg.targets())
        target     usable
        cpu        yes     znver4, 16 lanes in registers of 512 bits, 8 threads
        cuda       no      the package cuda-bindings is not installed: pip install 'diagrad[cuda]'
        reference  yes     NumPy 2.4.6, one function after another: slow, and what is right

    The machine is asked at every call.  `diagram.compile(target=...)` raises a `TargetError` that
    says the same for a target that is missing something; no other one takes its place.

    Returns:
        A mapping by name; `targets()["cuda"].usable` is a bool.
    """
    rows = {}
    for name, engine in ENGINES.items():
        missing = engine.missing()
        rows[name] = UsableTarget(name, not missing, "" if missing else engine.machine(), missing)
    return Targets(rows)
