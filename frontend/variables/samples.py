"""Types inside and outside of a block that is run for each sample apart, with its own weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...compiler.graph import Type
from ...compiler.sizes import Dim, assign, named, names


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

    def result(self, type: Type) -> Type | None:
        """The type of a result for all samples; one without an axis for them gets a leading one.

        None where it does not keep the samples apart.
        """
        size = named(self.size)
        depends = [extent for extent in type.shape if self.size in names(extent)]
        if not depends:
            return type.with_shape((self.extent, *type.shape))
        if depends != [size]:
            return None
        return type.with_shape(assign(n, {self.size: self.extent}) for n in type.shape)


def samples_of(leading: Sequence[Dim | None], inputs: int) -> Samples | None:
    """How a block with these weights is run for each sample; None for one set for all.

    The weights are the last of its inputs; `leading` says of each the extent of its samples.
    """
    extents = [item for item in leading if item is not None]
    if not extents:
        return None
    extent = extents[0]
    found = names(extent)
    alone = len(found) == 1 and extent == named(*found)
    own = [item is not None for item in leading]
    return Samples(
        extent,
        found.pop() if alone else "#samples",  # no size of a user is called so
        (*[False] * (inputs - len(own)), *own),
    )
