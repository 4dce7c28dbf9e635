"""A language model of characters: recurrent networks on Python's own documentation.

Run it with `python examples/04_char_rnn.py [--epochs N] [--out FOLDER]`.  A GRU and an LSTM learn
to say which character comes next in the help texts of Python.  It prints how many bits they need
for a character of a part that they have not seen: from the frequencies of the characters alone it
would be 4.7, and after the 6 epochs of the default it is about 1.8 (LSTM) and 1.7 (GRU).  It lets
the GRU write, and draws the learning curves.
"""

import argparse
import pydoc_data.topics
import time
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="Train a language model of characters.")
parser.add_argument("--epochs", type=float, default=6, help="how often to read the text")
parser.add_argument("--out", type=Path, default=Path("char_rnn_out"), help="folder of the curves")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

# The text as numbers: ASCII's printable characters, the end of a line, and one for all others.
text = "\n".join(pydoc_data.topics.topics[key] for key in sorted(pydoc_data.topics.topics))
alphabet = ["\n", "?", *(chr(code) for code in range(32, 127) if chr(code) != "?")]
number = {character: index for index, character in enumerate(alphabet)}
symbols = np.array([number.get(character, 1) for character in text], np.int32)
learn, ask = np.split(symbols, [len(symbols) * 19 // 20])
print(f"{len(learn)} characters to learn from, {len(ask)} to be asked about")

B, T, WIDTH, HIDDEN = 32, 64, 32, 128  # texts read side by side, steps, sizes


def batches(numbers: npt.NDArray[np.int32]) -> list[dict[str, npt.NDArray[np.int32]]]:
    """The text as B texts side by side, in pieces of T steps; y is x one step later."""
    length = (len(numbers) - 1) // (B * T) * T
    x = numbers[: B * length].reshape(B, length).T
    y = numbers[1 : B * length + 1].reshape(B, length).T
    return [{"x": x[i : i + T], "y": y[i : i + T]} for i in range(0, length, T)]


def bits(program: dg.Program) -> float:
    """Bits for a character of the part not seen, each piece with the memory of those before."""
    states = list(program.diagram.states)
    for name in states:
        program.states[name][...] = 0
    costs = []
    for piece in batches(ask):
        found = program.run(**piece)
        costs.append(float(found["cost"]))
        for name in states:
            program.states[name][...] = found[f"last_{name}"]
    return float(np.mean(costs) / np.log(2))


def train(net: dg.GRU | dg.LSTM) -> tuple[dg.Program, dg.Embedding, dg.Linear, list[float]]:
    """Train a language model around this network; the costs of its steps, in bits."""
    x = dg.observed("x", ("T", B), dtype=dg.int32)
    y = dg.observed("y", ("T", B), dtype=dg.int32)
    embedding = dg.Embedding(len(alphabet), WIDTH, name="embedding")
    scores = dg.Linear(HIDDEN, len(alphabet), name="scores")
    # Truncated back-propagation through time: the program keeps the last state of a piece, and
    # the next piece begins with it; the gradient ends where a piece begins.
    names = ("h", "c") if isinstance(net, dg.LSTM) else ("h",)
    states = [dg.state(name, (1, B, HIDDEN)) for name in names]
    hidden, last = net(embedding(x), states if len(states) > 1 else states[0])
    lasts = last if isinstance(last, tuple) else (last,)
    for state, value in zip(states, lasts, strict=True):
        dg.update(state, value)
    diagram = dg.Diagram(
        f"char_{net.name}",
        {f"last_{name}": value for name, value in zip(names, lasts, strict=True)},
        cost=dg.cross_entropy(scores(hidden), y),
    )
    pieces = batches(learn)
    steps = max(1, round(options.epochs * len(pieces)))
    rate = dg.schedules.cosine(4e-3, steps)
    program = diagram.compile(dg.Adam(rate, clip=dg.clip_norm(1.0)))
    start = time.perf_counter()
    costs = []
    for step in range(steps):
        if step % len(pieces) == 0:
            for name in names:
                program.states[name][...] = 0
        costs.append(program.step(**pieces[step % len(pieces)]) / np.log(2))
    seconds = time.perf_counter() - start
    print(f"{net.name}: {steps} steps in {seconds:.1f} s, bits per character {bits(program):.3f}")
    return program, embedding, scores, costs


curves = {}
for net in (dg.LSTM(WIDTH, HIDDEN, name="lstm"), dg.GRU(WIDTH, HIDDEN, name="gru")):
    program, embedding, scores, curves[str(net.name)] = train(net)

# To write is a loop too: the symbol of one step is read at the next.  The greatest of scores with
# Gumbel's noise is a symbol drawn with the probabilities that the scores mean.  The network is the
# same block, here over sequences of one step.
t = dg.loop("write")
uniform = t.each(dg.random_uniform((400, 1, len(alphabet)), "writing"))
symbol = t.delay("symbol", number["\n"], shape=(1,), dtype=dg.int32)
h = t.delay("h", 0.0, shape=(1, 1, HIDDEN))
Y, last = net(embedding(symbol)[None], h)
chosen = dg.argmax(scores(Y)[0] - dg.log(-dg.log(uniform)), axis=-1).astype(dg.int32)
t.close(symbol, chosen)
t.close(h, last)
writer = dg.Diagram("writer", {"symbols": t.stack(chosen)}).compile()
for name in writer.parameters:
    writer.parameters[name] = program.parameters[name]
print("it writes:\n" + "".join(alphabet[i] for i in writer.run()["symbols"][:, 0]))

figure, axes = plt.subplots(figsize=(7, 4))
for label, costs in curves.items():
    width = min(50, len(costs))
    smooth = np.convolve(costs, np.full(width, 1 / width), "valid")
    axes.plot(np.arange(len(smooth)) + width, smooth, label=label)
axes.set(xlabel="step", ylabel="bits per character", ylim=(0, None))
axes.legend()
figure.savefig(out / "learning_curves.svg")
