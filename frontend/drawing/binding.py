"""Blocks on given parameters: `w = H(u)`, or `w = H(x, u)`, in the place of a block's own.

The parameters of a block have an order, that of `Block.parameters()`, so that all of them are one
flat vector.  What is bound is no longer free: it is in no list of parameters, and in no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, cast

from ..errors import DiagramError, DtypeError, NameTakenError, ShapeError
from ..location import user_location
from ..variables.variable import Variable, mark_read, mistaken, shape_text, source_text
from ..variables.weak import adopted
from .block_calls import apply_block
from .blocks import Block, HasForward, R, parameters_of
from .flat_vectors import Source, element_count, shapes_text


class Bound(Block, Generic[R]):
    """A block on given parameters: what `dg.bind` makes."""

    def __init__(
        self, block: HasForward[R], sources: tuple[Source, ...], mistake: DiagramError | None
    ) -> None:
        object.__setattr__(self, "block", block)
        object.__setattr__(self, "sources", sources)
        object.__setattr__(self, "mistake", mistake)

    block: Block
    sources: tuple[Source, ...]
    mistake: DiagramError | None

    @property
    def _has_place(self) -> bool:
        """One block can be bound many times."""
        return False

    def _describe(self) -> str:
        """As the block itself."""
        return self.block._describe()

    def parameters(self) -> dict[str, Variable]:
        """Those that are still free, and parameters that others are bound to."""
        found = _free(self.block, self.sources)
        for source in self.sources:
            if source.variable.kind == "parameter":
                name = source.variable.name or ""
                found[name if source.flat else next(iter(source.parameters))] = source.variable
        return found

    def __call__(self, *inputs: Any, **options: Any) -> R:
        """Apply the block to variables."""
        if self.mistake is not None:
            return cast("R", mistaken([self.mistake]))
        return cast("R", apply_block(self.block, inputs, options, self.sources))

    def __repr__(self) -> str:
        held = (f"{', '.join(s.parameters)} of {source_text(s.variable)}" for s in self.sources)
        return f"<{self._describe()} with {' and '.join(held)}>"


def bind(block: HasForward[R], weights: Variable | Mapping[str, Variable]) -> Bound[R]:
    """A block that runs on given parameters instead of its own.

        w = dg.tanh(dg.Linear(8, net.parameter_count)(z))    # w = H(z, u)
        y = dg.bind(net, w)(x)                               # G(x, w)

    With a further leading axis the weights are a set for each sample: of shape (B, N), or
    (B, *shape) in a dict.  Then sample b of the result is the block, run on a batch of one, with
    sample b of every input and of the weights.  The samples of an input are along the axis that
    has the name of that size; along the leading one where the size is a number.  An input without
    such an axis is the same for all, and a result without one gets it in front.

    Args:
        block: any block; its parameters are no longer free where it is applied bound.
        weights: one flat vector of `block.parameter_count` elements, cut in the order of
            `block.parameters()`, each parameter row-major; or variables by the names of
            `block.parameters()`, which may leave out some: those stay the block's own.

    Returns:
        The block with these parameters, to be applied to variables, or to be bound to more.

    Raises:
        TypeError: something else than a block, or than variables.
        ShapeError, DtypeError, NameTakenError, DiagramError: when the diagram is built: a vector
            of another length, a parameter of another shape or dtype, a name that the block does
            not have or that is bound already, or one parameter under two names.
    """
    subject = f"bind ({user_location()})"
    if not isinstance(block, Block):
        raise TypeError(f"{subject} expects a block, got {type(block).__name__}")
    inner, before = (block.block, block.sources) if isinstance(block, Bound) else (block, ())
    free = _free(inner, before)
    if isinstance(weights, Variable):
        found: list[Source] | DiagramError = _of_vector(subject, inner, weights, free)
    elif isinstance(weights, Mapping):
        for name, item in weights.items():
            if not isinstance(item, Variable):
                raise TypeError(
                    f"{subject} expects a variable for '{name}', got {type(item).__name__}"
                )
        found = _of_names(subject, inner, weights, free)
    else:
        raise TypeError(
            f"{subject} expects a variable or a dict of variables by name, got "
            f"{type(weights).__name__}"
        )
    mistake = block.mistake if isinstance(block, Bound) else None
    sources = before
    if isinstance(found, DiagramError):
        found.locate()
        mistake = mistake or found
    else:
        mark_read([item.variable for item in found])
        for source in found:
            for parameter in source.parameters.values():
                parameter.bound_to = source.variable
        sources = (*before, *found)
        mistake = mistake or _uneven(subject, sources)
    return Bound(inner, sources, mistake)


def _free(block: Block, sources: tuple[Source, ...]) -> dict[str, Variable]:
    taken = {item for source in sources for item in source.parameters.values()}
    return {name: item for name, item in parameters_of(block).items() if item not in taken}


def _of_vector(
    subject: str, block: Block, vector: Variable, free: Mapping[str, Variable]
) -> list[Source] | DiagramError:
    if vector.mistakes:
        return vector.mistakes[0]
    came = f"got {vector.dtype} {shape_text(vector.shape)} from {source_text(vector)}"
    total = element_count(free)
    if not free:
        return DiagramError(
            f"{subject} expects a block with free parameters, got {block._describe()}"
        )
    if vector.ndim not in (1, 2) or vector.shape[-1] != total:
        return ShapeError(
            f"{subject} expects a vector of {total} elements, or one for each sample, for "
            f"{block._describe()}, {came}: its parameters are {shapes_text(free)}"
        )
    vector = adopted(vector, next(iter(free.values())).dtype)
    for name, item in free.items():
        if item.dtype != vector.dtype:
            return DtypeError(
                f"{subject} expects {item.dtype} for '{name}' of {block._describe()}, {came}"
            )
    return [Source(vector, free, True, vector.shape[0] if vector.ndim == 2 else None)]


def _of_names(
    subject: str, block: Block, weights: Mapping[str, Variable], free: Mapping[str, Variable]
) -> list[Source] | DiagramError:
    found: list[Source] = []
    known = parameters_of(block)
    for name, value in weights.items():
        if value.mistakes:
            return value.mistakes[0]
        if name not in known:
            return DiagramError(
                f"{subject} expects parameters of {block._describe()}, got '{name}': it has "
                f"{', '.join(known) or 'none'}"
            )
        parameter = known[name]
        if name not in free:
            return NameTakenError(
                f"{subject} binds '{name}' of {block._describe()}, which is bound already"
            )
        came = f"got {value.dtype} {shape_text(value.shape)} from {source_text(value)}"
        shape = parameter.shape
        alone = value.shape == shape
        if not alone and value.shape[1:] != shape:
            return ShapeError(
                f"{subject} expects shape {shape_text(shape)} for '{name}' of {block._describe()}, "
                f"or one such for each sample, {came}"
            )
        value = adopted(value, parameter.dtype)
        if value.dtype != parameter.dtype:
            return DtypeError(
                f"{subject} expects {parameter.dtype} for '{name}' of {block._describe()}, {came}"
            )
        found.append(Source(value, {name: parameter}, False, None if alone else value.shape[0]))
    return found


def _uneven(subject: str, sources: tuple[Source, ...]) -> DiagramError | None:
    """What is wrong if the weights are for different numbers of samples."""
    several = [item for item in sources if item.samples is not None]
    other = next((item for item in several if item.samples != several[0].samples), None)
    if other is None:
        return None
    mistake = ShapeError(
        f"{subject} expects weights for {several[0].samples} samples as of "
        f"{source_text(several[0].variable)}, got {other.samples} from "
        f"{source_text(other.variable)}"
    )
    mistake.locate()
    return mistake
