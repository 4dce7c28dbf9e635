"""Types inside and outside of a block that is run for each sample apart, with its own weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...compiler.graph import Type
from ...compiler.sizes import Dim, assign, named, names
from ..errors import DiagramError, ShapeError
from .variable import Variable, shape_text

if TYPE_CHECKING:
    from ..drawing.binding import Source


@dataclass(frozen=True)
class Samples:
    """How a body is run for each sample apart.

    Attributes:
        extent: how many samples there are, outside.
        size: what their number is called inside.
        own: for each port whether its variable has a leading axis of samples that is not there
            inside; others have one on any axis, or are the same for all samples.
    """

    extent: Dim
    size: str
    own: tuple[bool, ...]

    def inside(self, type: Type, own: bool) -> Type:
        """The type of an input as the block sees it; its number of samples has a name there."""
        first, rest = type.shape[:1], type.shape[1:]
        if own:
            return type.with_shape(rest)
        return type.with_shape((named(self.size), *rest)) if first == (self.extent,) else type

    def result(
        self, place: str, variable: Variable
    ) -> tuple[Type | None, tuple[DiagramError, ...]]:
        """The type of a result for all samples, or what is wrong with it.

        A result without an axis for them gets a leading one.
        """
        type, size = variable.type, named(self.size)
        depends = [extent for extent in type.shape if self.size in names(extent)]
        if depends not in ([], [size]):
            mistake = ShapeError(
                f"{place} has weights for each sample, and expects results with at most one axis "
                f"of {self.extent} samples, got {shape_text(type.shape)}: keep the samples apart"
            )
            mistake.locate()
            return None, (mistake,)
        if not depends:
            return type.with_shape((self.extent, *type.shape)), ()
        return type.with_shape(assign(n, {self.size: self.extent}) for n in type.shape), ()


def samples_of(sources: Sequence[Source], inputs: int) -> Samples | None:
    """How a block with these weights is run for each sample; None for one set for all.

    The sources are the last of its inputs.
    """
    extents = [item.samples for item in sources if item.samples is not None]
    if not extents:
        return None
    extent = extents[0]
    found = names(extent)
    alone = len(found) == 1 and extent == named(*found)
    own = [item.samples is not None for item in sources]
    return Samples(
        extent,
        found.pop() if alone else "#samples",  # no size of a user is called so
        (*[False] * (inputs - len(own)), *own),
    )
