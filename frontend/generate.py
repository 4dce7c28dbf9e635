"""Symbols that a trained model writes, one after another: `dg.generate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ..runtime.mutex import Mutex
from .arguments import flag, instance, integer, number, wrong
from .diagram import Diagram
from .drawing.blocks import Block
from .drawing.draws import first_key
from .errors import DiagramError, InputError
from .library.generation.writing import write
from .location import user_location
from .program import Program
from .variables.variable import Variable, observed

Array = npt.NDArray[Any]
Model = Callable[[Variable], Any]
ROUNDING = 0.01
"""By what share of the greatest score the same scores may differ, read at once or by steps."""

_written: WeakKeyDictionary[Program, dict[Any, _Writer]] = WeakKeyDictionary()


def generate(
    program: Program | Block,
    prompt: Any,
    steps: int,
    temperature: float = 0.0,
    top_k: int | None = None,
    seed: int = 0,
    stop: int | None = None,
    model: Model | None = None,
    batch_first: bool = True,
    inputs: Mapping[str, Any] | None = None,
) -> Array:
    """The symbols that a trained model writes after a prompt: all of them in one native call.

        text = dg.generate(program, prompt, 200, temperature=0.8, top_k=20)

    The prompt goes through the model at once.  Then each symbol is read alone, beside what the
    blocks keep of those before: causal self-attention its keys and values, a recurrent network its
    state.  What is written is what the model would write if it read the whole text at every step;
    the first text of a model is read once more at once, to see that it is.

    Args:
        program: whose parameters the model has; or the model itself, a block, whose parameters
            then have their initial values.
        prompt: integers of shape (P,), or (B, P) for several texts of one length; P is at least 1.
        steps: how many symbols to write.
        temperature: 0 for the symbol with the greatest score; otherwise it is drawn with the
            probabilities softmax(scores / temperature).
        top_k: how many of the greatest scores may be drawn; by default all.
        seed: of the draws: the same seed, the same text, on any number of threads; a longer text
            begins with the shorter one.
        stop: a symbol that ends a text. What comes behind it is left out, or in a batch is `stop`.
        model: a block or a function of symbols (B, T) that gives their scores (B, T, V); by default
            the only outermost block of the program's diagram.
        batch_first: whether symbols and scores of the model have samples in front; otherwise they
            are (T, B) and (T, B, V), and so are several prompts.
        inputs: arrays for what else the model observes, by name: a sentence to be translated, which
            an encoder outside of the function `model` reads.

    Returns:
        int32, without the prompt: (steps,) or (B, steps), with fewer where all texts have stopped;
        with batch_first=False (steps, B).

    Raises:
        InputError: an empty prompt, prompts of several lengths, a symbol that the model does not
            know, more steps than a `dg.LearnedEncoding` has positions, or other inputs.
        DiagramError: no block that could be the model, or several; one in which a step depends on
            later ones, or in another way on those before.
        TypeError, ValueError: an argument of another type, or out of its range.
    """
    place = user_location()
    if isinstance(program, Block):
        model = program if model is None else model
        program = _untrained(program, flag("generate", "batch_first", batch_first))
    instance("generate", "program", program, Program, "a program, of diagram.compile(...)")
    subject = f"generate of '{program.diagram.name}' ({place})"
    steps = integer(subject, "steps", steps, 0, 2**31 - 1)
    temperature = number(subject, "temperature", temperature, least=0)
    top_k = None if top_k is None else integer(subject, "top_k", top_k, 1)
    stop = None if stop is None else integer(subject, "stop", stop, 0, 2**31 - 1)
    seed = integer(subject, "seed", seed, 0)
    time = 1 if flag(subject, "batch_first", batch_first) else 0
    symbols, alone = _prompts(subject, prompt, time)
    if not (inputs is None or isinstance(inputs, Mapping)):
        raise wrong(subject, "inputs to be arrays by name, a dict", inputs)
    model = _model(subject, program) if model is None else model
    if not callable(model) or isinstance(model, type):
        raise wrong(subject, "model to be a block or a function of symbols", model)
    if steps == 0:
        found = np.zeros((0, symbols.shape[1 - time]), np.int32)
    else:
        draws = temperature > 0
        key = (model, draws, top_k if draws else None, stop is not None, batch_first)
        writers = _written.setdefault(program, {})
        if key not in writers:
            writers[key] = _Writer(subject, program, *key)
        found = writers[key](
            subject, program, symbols, steps, temperature, seed, stop, dict(inputs or {})
        )
    return found[:, 0].copy() if alone else np.ascontiguousarray(found.T if time else found)


class _Writer:
    """A model in the loop that writes, compiled; its parameters are taken anew for each text."""

    def __init__(
        self,
        subject: str,
        program: Program,
        model: Model,
        draws: bool,
        top_k: int | None,
        stops: bool,
        batch_first: bool,
    ) -> None:
        self.time = 1 if batch_first else 0
        precision = program._options.precision or "float32"
        prompt = observed("prompt", ("B", "P") if batch_first else ("P", "B"), "int32")
        places = observed("places", ("N",), "int32")
        temperature = observed("temperature", (), precision) if draws else None
        stop = observed("stop", (), "int32") if stops else None
        written = write(model, prompt, places, temperature, top_k, stop, batch_first)
        name = f"{program.diagram.name}, writing"
        self.diagram = Diagram(name, written.outputs)
        self.limit = min(written.limits, key=lambda pair: pair[1], default=None)
        self.program = self.diagram.compile(
            target=program.target, dtype=program._options.precision, threads=program.threads
        )
        names = program.diagram.names
        held = {**self.diagram.parameters, **self.diagram.states}
        missing = [name for name, item in held.items() if item not in names]
        if missing:
            raise DiagramError(
                f"{subject} expects a model whose parameters the program has, got one with "
                f"{', '.join(missing)}"
            )
        self.sources = {name: names[item] for name, item in held.items()}
        self.dtype = precision
        self.checked = False
        self.mutex = Mutex()

    def __call__(
        self,
        subject: str,
        program: Program,
        prompt: Array,
        steps: int,
        temperature: float,
        seed: int,
        stop: int | None,
        inputs: dict[str, Any],
    ) -> Array:
        """The symbols, (steps, B) or fewer."""
        read = prompt.shape[self.time]
        if self.limit is not None and read + steps - 1 > self.limit[1]:
            block, most = self.limit
            raise InputError(
                f"{subject} expects a prompt and steps of at most {most} positions together, which "
                f"{block._describe()} has, got {read} symbols and {steps} steps, of which the last "
                "is not read: give fewer"
            )
        inputs["prompt"] = prompt
        if temperature > 0:
            inputs["temperature"] = np.asarray(temperature, self.dtype)
        if stop is not None:
            inputs["stop"] = np.asarray(stop, np.int32)

        def work() -> Array:
            states = self.program.states
            for name, source in self.sources.items():
                np.copyto(states[name], program.states[source])
            if "random_key" in states:
                states["random_key"][...] = first_key(seed)
            places = np.arange(read, read + steps - 1, dtype=np.int32)
            found = self.program.run(**inputs, places=places)
            made = max(int(found["last_place"]) + 1 - read, 0)
            symbols: Array = found["symbols"][: made + 1]
            if made and not self.checked:
                self._check(subject, inputs, symbols[:-1], found["last_scores"])
                self.checked = True
            return symbols if stop is None else _stopped(symbols, stop)

        return self.mutex.hold(work)

    def _check(self, subject: str, inputs: dict[str, Any], symbols: Array, scores: Array) -> None:
        """Compare the scores behind the symbols that were read with those read at once."""
        parts = [inputs["prompt"], symbols.T if self.time else symbols]
        whole = np.ascontiguousarray(np.concatenate(parts, self.time))
        places = np.zeros(0, np.int32)
        expected = self.program.run(**{**inputs, "prompt": whole, "places": places})["scores"]
        scale = np.abs(expected, where=np.isfinite(expected), out=np.zeros_like(expected)).max()
        if not np.allclose(scores, expected, 0, ROUNDING * scale, equal_nan=True):
            raise DiagramError(
                f"{subject} expects a model in which a step depends on those before it by causal "
                "self-attention and recurrent networks alone, got one whose scores are others when "
                "it reads a text symbol by symbol: no function may look at several steps, as a "
                "convolution does, at their number or at their places"
            )


def _prompts(subject: str, prompt: Any, time: int) -> tuple[Array, bool]:
    """Prompts with both axes, and whether there is one without an axis of samples."""
    if isinstance(prompt, Variable):
        raise wrong(subject, "a prompt of integers", prompt)
    try:
        symbols = np.asarray(prompt)
    except ValueError:
        raise InputError(
            f"{subject} expects prompts of one length, got several: write after each by itself, or "
            "cut them to one length"
        ) from None
    if symbols.size == 0 or symbols.ndim not in (1, 2):
        raise InputError(
            f"{subject} expects a prompt of one symbol or more, (P,), or several of one length, "
            f"(B, P), got shape {symbols.shape}: begin with a symbol that texts begin with"
        )
    if symbols.dtype.kind not in "iu":
        raise InputError(f"{subject} expects a prompt of integers, got {symbols.dtype}")
    beyond = (symbols < 0) | (symbols > np.iinfo(np.int32).max)
    if beyond.any():
        raise InputError(f"{subject} expects symbols from 0 on, got {symbols[beyond][0]}")
    alone = symbols.ndim == 1
    both = np.expand_dims(symbols, 1 - time) if alone else symbols
    return np.ascontiguousarray(both, np.int32), alone


def _untrained(block: Block, batch_first: bool) -> Program:
    """A program with a block's initial parameters."""
    symbols = observed("symbols", ("B", "T") if batch_first else ("T", "B"), "int32")
    return Diagram(block._describe(), {"scores": block(symbols)}).compile()


def _model(subject: str, program: Program) -> Block:
    """The only outermost block."""
    blocks = [item for item in program.diagram.roots if isinstance(item, Block)]
    if len(blocks) != 1:
        names = ", ".join(program.diagram.roots[item] for item in blocks)
        raise DiagramError(
            f"{subject} expects a diagram with one outermost block, the model, got "
            f"{names or 'none'}: give model=, a block or a function of symbols that gives scores"
        )
    return blocks[0]


def _stopped(found: Array, stop: int) -> Array:
    """Symbols (steps, B) up to the first `stop` of each text, cut where all have stopped."""
    ended = np.cumsum(found == stop, axis=0) > 0
    before = np.concatenate([np.zeros((1, found.shape[1]), bool), ended[:-1]])
    found = np.where(before, np.int32(stop), found)
    return found[~before.all(axis=1)]
