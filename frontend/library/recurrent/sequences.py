"""What RNN, LSTM and GRU have in common: cells over sequences, in layers and both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ....compiler.dtypes import computed
from ....compiler.sizes import Dim
from ...arguments import flag, integer
from ...drawing.blocks import parameters_of
from ...drawing.loops.loop import loop
from ...errors import DtypeError, ShapeError
from ...location import user_location
from ...operations.elementwise import as_operands
from ...operations.structure import concatenate, stack, swapaxes
from ...variables.variable import Variable, shape_text, source_text
from ...variables.weak import adopted
from ..attention.continuing import continuation
from ..torch_names import TorchNamed
from .cells import Cell
from .propagation import Probes

if TYPE_CHECKING:
    from ..initialisers import Array

Given = Variable | Sequence[Variable | None] | None
"""Variables in place of a parameter: one for all cells, or one for each; None for parameters."""


class Recurrent(TorchNamed):
    """Cells over a sequence, in layers and in both directions.

    The cell of layer k is the attribute `l<k>`, that of the way back `l<k>_reverse`; so
    parameters are called `lstm/l0/weight`, `lstm/l0_reverse/recurrent` and so on.
    """

    def __init__(
        self,
        cell: Callable[..., Cell],
        given: Mapping[str, bool | Given],
        inputs: int,
        hidden: int,
        layers: int,
        bidirectional: bool,
        reverse: bool,
        batch_first: bool,
        truncate: int | None,
        checkpoint: int | None,
        name: str | None,
    ) -> None:
        self.name = name
        subject = f"{self._describe()} ({user_location()})"
        layers = integer(subject, "layers", layers, 1)
        hidden = integer(subject, "hidden", hidden, 0)
        bidirectional = flag(subject, "bidirectional", bidirectional)
        reverse, batch_first = (
            flag(subject, "reverse", reverse),
            flag(subject, "batch_first", batch_first),
        )
        if bidirectional and reverse:
            raise ValueError(f"{subject} expects bidirectional or reverse, not both")
        self.inputs = inputs
        self.hidden = hidden
        self.bidirectional = bidirectional
        self.reverse = reverse
        self.batch_first = batch_first
        self.truncate = truncate
        self.checkpoint = checkpoint
        ways = ("", "_reverse") if bidirectional else ("",)
        names = [f"l{layer}{way}" for layer in range(layers) for way in ways]
        for key, value in given.items():
            if isinstance(value, (list, tuple)) and len(value) != len(names):
                raise ValueError(
                    f"{subject} expects one {key} for all or {len(names)}, for {', '.join(names)}, "
                    f"got {len(value)}"
                )
        self.cells: list[tuple[str, Cell]] = []  # in PyTorch's order
        for number, held in enumerate(names):
            size = inputs if number < len(ways) else hidden * len(ways)
            each = {k: v[number] if isinstance(v, (list, tuple)) else v for k, v in given.items()}
            result = cell(size, **each)
            setattr(self, held, result)
            self.cells.append((held, result))

    def _adopt(self, attribute: str, value: Any) -> None:
        if attribute != "cells":  # they have attributes of their own
            super()._adopt(attribute, value)

    def parameters(self) -> dict[str, Variable]:
        """As for every block: `l0/weight` and so on."""
        found: dict[str, Variable] = {}
        for name, cell in self.cells:
            found |= {f"{name}/{key}": item for key, item in parameters_of(cell).items()}
        return found

    def _torch_shapes(self, subject: str) -> dict[str, tuple[int, ...]]:
        return {
            f"{key}_{way}": shape
            for way, cell in self.cells
            for key, shape in cell._torch_shapes(subject).items()
        }

    def _from_torch(self, given: Mapping[str, Array]) -> list[tuple[Variable, Array]]:
        return [
            pair
            for way, cell in self.cells
            for pair in cell._from_torch({
                key.removesuffix(f"_{way}"): array
                for key, array in given.items()
                if key.endswith(f"_{way}")
            })
        ]  # fmt: skip

    def _to_torch(self, arrays: Callable[[Variable], Array]) -> dict[str, Array]:
        return {
            f"{key}_{way}": array
            for way, cell in self.cells
            for key, array in cell._to_torch(arrays).items()
        }

    def forward(
        self,
        x: Variable,
        state: Any = None,
        lengths: Variable | None = None,
        probes: Probes | None = None,
    ) -> tuple[Variable, Any]:
        """All states of the last layer, and the final ones of all layers."""
        (x,) = as_operands(x)
        names = self.cells[0][1].states
        self._check_input(x)
        self._check_lengths(lengths, x.shape[0 if self.batch_first else 1])
        if self.batch_first:
            x = swapaxes(x, 0, 1)
        steps = continuation()
        if steps is not None:
            self._check_continued(lengths)
            before = steps.before(self)
            state = state if before is None else before
        given = self._initial(state, x)
        zeros = self._probes(probes, x)
        finals: list[list[Variable]] = []
        ways = 2 if self.bidirectional else 1
        for first in range(0, len(self.cells), ways):
            outputs = []
            for number in range(first, first + ways):
                start = None if given is None else [item[number] for item in given]
                back = self.reverse or number > first
                probe = None if zeros is None else (zeros[0][number], zeros[1][number])
                y, last = self._run(number, x, start, lengths, back, probe)
                outputs.append(y)
                finals.append(last)
            x = outputs[0] if ways == 1 else concatenate(outputs, axis=-1)
        together = [stack([last[i] for last in finals]) for i in range(len(names))]
        if steps is not None:
            steps.after(self, tuple(together))
        y = swapaxes(x, 0, 1) if self.batch_first else x
        return y, together[0] if len(names) == 1 else tuple(together)

    def _run(
        self,
        number: int,
        x: Variable,
        start: Sequence[Variable] | None,
        lengths: Variable | None,
        back: bool,
        probe: Probes | None,
    ) -> tuple[Variable, list[Variable]]:
        """One layer in one direction: all states h, and the final states."""
        name, cell = self.cells[number]
        t = loop(name, None, back, lengths, self.truncate, self.checkpoint)
        x_t = t.each(x)
        shape = (x.shape[1], self.hidden)
        states = [
            t.delay(word, 0.0, shape=shape, dtype=cell.dtype) if start is None
            else t.delay(word, start[i])
            for i, word in enumerate(cell.states)
        ]  # fmt: skip
        read = list(states)
        if probe is not None:
            read[0] = states[0] + t.each(probe[0])
        result = cell(x_t, *read)
        following = list(result) if isinstance(result, tuple) else [result]
        if probe is not None:
            following[0] = following[0] + t.each(probe[1])
        for state, value in zip(states, following, strict=True):
            t.close(state, value)
        return t.stack(following[0]), [t.last(value) for value in following]

    def _check_input(self, x: Variable) -> None:
        subject = f"{self._describe()} ({user_location()})"
        axes = "(B, T" if self.batch_first else "(T, B"
        if x.ndim != 3 or x.shape[2] != self.inputs:
            raise ShapeError(
                f"{subject} expects x of shape {axes}, {self.inputs}), got {shape_text(x.shape)} "
                f"from {source_text(x)}"
            )
        dtype = self.cells[0][1].dtype
        if x.dtype != computed(dtype):
            raise DtypeError(
                f"{subject} expects x of dtype {dtype} like its weights, got {x.dtype} from "
                f'{source_text(x)}: convert one with .astype("{dtype}")'
            )

    def _check_continued(self, lengths: Any) -> None:
        if self.bidirectional or self.reverse or lengths is not None:
            raise TypeError(
                f"{self._describe()} ({user_location()}) expects no lengths and one direction, "
                "forward, where it continues a sequence"
            )

    def _check_lengths(self, lengths: Any, samples: Dim) -> None:
        if lengths is None:
            return
        subject = f"{self._describe()} ({user_location()})"
        wanted = shape_text((samples,))
        if not isinstance(lengths, Variable):
            raise TypeError(
                f"{subject} expects lengths to be a variable of {wanted} integers, got "
                f"{type(lengths).__name__}: give dg.observed or dg.constant(...)"
            )
        if not lengths.mistakes and lengths.shape != (samples,):
            raise ShapeError(
                f"{subject} expects lengths of shape {wanted}, got {shape_text(lengths.shape)} "
                f"from {source_text(lengths)}: one for each sample"
            )

    def _initial(self, state: Any, x: Variable) -> list[Variable] | None:
        """The initial states of all layers, (layers * directions, B, hidden) each."""
        if state is None:
            return None
        names = self.cells[0][1].states
        subject = f"{self._describe()} ({user_location()})"
        given = as_operands(*(state if isinstance(state, (tuple, list)) else (state,)))
        given = [adopted(item, x.dtype) for item in given]
        if len(given) != len(names):
            what = "one variable" if len(names) == 1 else f"a tuple ({', '.join(names)})"
            raise TypeError(f"{subject} expects {what} as its initial state, got {len(given)}")
        shape = (len(self.cells), x.shape[1], self.hidden)
        for word, item in zip(names, given, strict=True):
            if item.shape != shape:
                text = (
                    f"{subject} expects an initial {word} of shape {shape_text(shape)}, got "
                    f"{shape_text(item.shape)} from {source_text(item)}: one for each layer and "
                    "direction"
                )
                if item.ndim == 3 and item.shape[::2] == shape[::2]:
                    text += f"; its batch size is {item.shape[1]}, so that of x must be too"
                raise ShapeError(text)
            if item.dtype != x.dtype:
                raise DtypeError(
                    f"{subject} expects an initial {word} of dtype {x.dtype} like x, got "
                    f"{item.dtype} from {source_text(item)}"
                )
        return given

    def _probes(self, probes: Any, x: Variable) -> Probes | None:
        """The probes of all layers, (layers * directions, T, B, hidden) each."""
        if probes is None:
            return None
        subject = f"{self._describe()} ({user_location()})"
        if len(self.cells[0][1].states) > 1:
            raise TypeError(f"{subject} expects no probes: its state is more than one variable")
        before, after = probes
        shape = (len(self.cells), *x.shape[:2], self.hidden)
        for item in (before, after):
            if item.shape != shape:
                raise ShapeError(
                    f"{subject} expects probes of shape {shape_text(shape)}, got "
                    f"{shape_text(item.shape)} from {source_text(item)}"
                )
        return before, after
