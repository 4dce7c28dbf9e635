"""A Transformer that writes like Python's documentation, character by character.

Run it with `python examples/19_transformer.py [--steps N] [--out FOLDER]`.  Two causal layers of
128 features and 4 heads learn to say which character comes next in the help texts of the running
Python (`pydoc_data.topics`).  It prints how many bits they need for a character of a part that
they have not seen: from the frequencies of the characters alone it would be 4.7, and after the
2000 steps of the default it is about 1.7.

Then it writes with `dg.generate`: the symbols with the greatest score, and three texts that are
drawn.  A model that reads the whole text again for each character writes the same, and it prints
how many characters a second each of the two ways writes.  It draws the model and one of its
layers, the learning curve, and where the heads look in the text that was written.
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

parser = argparse.ArgumentParser(description="Train a Transformer that writes characters.")
parser.add_argument("--steps", type=int, default=2000, help="how many steps to train")
parser.add_argument("--out", type=Path, default=Path("transformer_out"), help="folder of pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

# 1. The text as numbers: ASCII's printable characters, the end of a line, and one for all others.
text = "\n".join(pydoc_data.topics.topics[key] for key in sorted(pydoc_data.topics.topics))
alphabet = ["\n", "?", *(chr(code) for code in range(32, 127) if chr(code) != "?")]
number = {character: index for index, character in enumerate(alphabet)}
symbols = np.array([number.get(character, 1) for character in text], np.int32)
learn, ask = np.split(symbols, [len(symbols) * 19 // 20])
print(f"{len(learn)} characters to learn from, {len(ask)} to be asked about")

# 2. The model: scores of the next symbol from all symbols up to here.
B, T, FEATURES, HEADS, LAYERS = 16, 128, 128, 4, 2
x = dg.observed("x", ("B", "T"), dtype=dg.int32)
y = dg.observed("y", ("B", "T"), dtype=dg.int32)
embedding = dg.Embedding(len(alphabet), FEATURES, weight_init=dg.init.normal(0.1))
positions = dg.LearnedEncoding(T, FEATURES)
layers = dg.TransformerEncoder(
    FEATURES, HEADS, LAYERS, norm_first=True, activation=dg.gelu, causal=True
)
model = dg.Chain(embedding, positions, layers, dg.Linear(FEATURES, len(alphabet)), name="model")
scores = model(x)
diagram = dg.Diagram("transformer", {"scores": scores}, cost=dg.cross_entropy(scores, y))
diagram.render(out / "model.svg", depth=2)
z = dg.observed("z", ("B", "T", FEATURES))
dg.Diagram("layer", {"y": layers.layers[0](z)}).render(out / "layer.svg", depth=2)
rate = dg.schedules.cosine(2e-3, options.steps)
program = diagram.compile(dg.Adam(rate, clip=dg.clip_norm(1.0)))
print(f"{model.parameter_count} parameters")


def pieces(
    numbers: npt.NDArray[np.int32], starts: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[np.int32]]:
    """Texts of T symbols that begin there; y is x one step later."""
    places = starts[:, None] + np.arange(T)
    return {"x": numbers[places], "y": numbers[places + 1]}


# 3. Learning, and what it comes to.
rng = np.random.default_rng(0)
start = time.perf_counter()
costs = []
for _ in range(options.steps):
    costs.append(program.step(**pieces(learn, rng.integers(0, len(learn) - T, B))) / np.log(2))
seconds = time.perf_counter() - start
held = pieces(ask, np.arange(0, len(ask) - T, T))
bits = float(program.run(**held)["cost"]) / np.log(2)
print(f"{options.steps} steps in {seconds:.1f} s, bits per character {bits:.3f}")

# 4. Writing.  Each symbol is read alone, beside the keys and values of those before.
BEGIN = "The "
prompt = np.array([number[character] for character in BEGIN], np.int32)
count = T - len(prompt)


def shown(found: npt.NDArray[np.int32]) -> str:
    """Symbols as a text."""
    return "".join(alphabet[index] for index in found)


dg.generate(program, prompt, 2)  # compiles the loop
start = time.perf_counter()
greedy = dg.generate(program, prompt, count)
kept = count / (time.perf_counter() - start)
# The same by reading all T places for each symbol: those behind it change nothing that is before.
read = np.zeros((1, T), np.int32)
read[0, : len(prompt)] = prompt
program.run(x=read, y=read)
start = time.perf_counter()
for place in range(len(prompt), T):
    read[0, place] = program.run(x=read, y=read)["scores"][0, place - 1].argmax()
whole = count / (time.perf_counter() - start)
same = "the same" if (read[0, len(prompt) :] == greedy).all() else "another text"
print(f"characters a second: {kept:.0f} with keys and values kept, {whole:.0f} without: {same}")

print("the greatest scores:\n" + BEGIN + shown(greedy))
drawn = dg.generate(program, np.tile(prompt, (3, 1)), count, temperature=0.8, top_k=20, seed=1)
for one in drawn:
    print("drawn:\n" + BEGIN + shown(one))

# 5. Where the heads of the last layer look: a row for each character, darker for more weight.
written = np.concatenate([prompt, drawn[0]])[:40]
inner, last = positions(embedding(x)), layers.layers[-1]
for layer in layers.layers[:-1]:
    inner = layer(inner)
looks = dg.Diagram("looks", {"weights": last.attention.weights(last.norms[0](inner))}).compile()
for name in looks.parameters:
    looks.parameters[name] = program.parameters[name]
weights = looks.run(x=written[None])["weights"][0]
figure, axes = plt.subplots(1, HEADS, figsize=(4 * HEADS, 4.4), layout="constrained")
letters = [alphabet[index].replace("\n", "\u21b5") for index in written]
for head, (axis, table) in enumerate(zip(axes, weights, strict=True)):
    axis.imshow(table, cmap="Greys", vmin=0, vmax=1)
    axis.set_title(f"head {head + 1}")
    axis.set_xticks(range(len(letters)), letters, fontsize=6, family="monospace")
    axis.set_yticks(range(len(letters)), letters, fontsize=6, family="monospace")
    axis.set(xlabel="sees", ylabel="reads")
figure.savefig(out / "heads.svg")

figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
width = min(50, len(costs))
smooth = np.convolve(costs, np.full(width, 1 / width), "valid")
axis.plot(np.arange(len(smooth)) + width, smooth, label="learned from")
axis.axhline(bits, color="C1", linestyle="--", label="not seen, at the end")
axis.set(xlabel="step", ylabel="bits per character", ylim=(0, None))
axis.legend(frameon=False)
figure.savefig(out / "learning_curve.svg")
print("the model, a layer, the learning curve and the heads are drawn in", out)
