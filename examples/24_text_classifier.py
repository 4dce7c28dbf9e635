"""Which package of Python does a sentence of its documentation come from?

Run it with `python examples/24_text_classifier.py [--epochs N] [--out FOLDER]`.  A sentence is a
row of words, each word a vector (`dg.Embedding`), and a 1-D convolution over the row sees three
words at a time: each of its outputs is a detector of phrases.  The greatest answer over the
sentence says whether a phrase is there, wherever it stands, and a linear layer decides (Kim,
Convolutional neural networks for sentence classification, 2014).

The sentences are the docstrings of six packages of the running Python, read from their files; each
stands in the data once, and one in five is held out.  It prints how many of those are told right,
beside the share of the commonest package, and for some detectors the phrase of the held-out
sentences that each likes best.  It draws the net and the learning curve.
"""

import argparse
import ast
import re
import sysconfig
from collections import Counter
from pathlib import Path

import matplotlib
import numpy as np

import diagrad as dg

matplotlib.use("Agg")
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser(description="A convolution over text, and a max over time.")
parser.add_argument("--epochs", type=int, default=12, help="how often all sentences are seen")
parser.add_argument("--out", type=Path, default=Path("text_out"), help="folder of the pictures")
options = parser.parse_args()
out: Path = options.out
out.mkdir(parents=True, exist_ok=True)

# 1. Sentences, as lists of lower-case words.
PACKAGES = ("asyncio", "email", "importlib", "logging", "unittest", "xml")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
found: dict[tuple[str, ...], int] = {}
for number, package in enumerate(PACKAGES):
    for path in sorted((Path(sysconfig.get_path("stdlib")) / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = (ast.get_docstring(node) or "") if isinstance(node, DOCUMENTED) else ""
            for sentence in re.split(r"(?<=[.!?])\s+|\n\n", text.lower()):
                words = tuple(re.findall(r"[a-z]+", sentence))
                if len(words) >= 4:
                    found.setdefault(words, number)
rng = np.random.default_rng(0)
sentences = [list(found)[place] for place in rng.permutation(len(found))]
labels = np.array([found[words] for words in sentences], np.int32)
held = len(sentences) // 5

# 2. Words become numbers: 0 fills a short sentence up, 1 is any word that is seen only once.
LENGTH, PADDING, RARE = 24, 0, 1
counts = Counter(word for words in sentences[held:] for word in words)
known = [word for word, count in counts.most_common() if count > 1]
number_of = {word: number for number, word in enumerate(known, 2)}
numbers = np.full((len(sentences), LENGTH), PADDING, np.int32)
for row, words in zip(numbers, sentences, strict=True):
    row[: len(words)] = [number_of.get(word, RARE) for word in words[:LENGTH]]

# 3. The net.  A convolution's channels are before its positions: the words' vectors are turned.
WIDTH, DETECTORS = 32, 64
x = dg.observed("x", ("B", LENGTH), dtype=dg.int32)
y = dg.observed("y", ("B",), dtype=dg.int32)
start = dg.init.normal(deviation=0.3)
embedding = dg.Embedding(len(known) + 2, WIDTH, weight_init=start, name="embedding")
detectors = dg.Conv1d(WIDTH, DETECTORS, 3, padding=1, name="detectors")
head = dg.Chain(dg.Dropout(0.5), dg.Linear(DETECTORS, len(PACKAGES)), name="head")
vectors = dg.swapaxes(embedding(x), 1, 2)
answers = dg.relu(detectors(vectors))
answers.name = "answers"
scores = head(dg.max(answers, axis=2))
diagram = dg.Diagram(
    "text classifier",
    {"scores": scores, "place": dg.argmax(answers, axis=2), "height": dg.max(answers, axis=2)},
    cost=dg.cross_entropy(scores, y),
)
dg.Diagram("text classifier", {"scores": scores}, cost=dg.cross_entropy(scores, y)).render(
    out / "net.svg"
)
program = diagram.compile(optimizer=dg.AdamW(3e-3, weight_decay=0.05))

# 4. Learning, and what is told right.
history = dg.fit(
    program,
    {"x": numbers[held:], "y": labels[held:]},
    epochs=options.epochs,
    batch_size=32,
    validation={"x": numbers[:held], "y": labels[:held]},
    progress=False,
)
asked = program.run(x=numbers[:held])
right = np.mean(asked["scores"].argmax(axis=1) == labels[:held])
commonest = np.bincount(labels[:held]).max() / held
print(f"{len(sentences)} sentences of {len(PACKAGES)} packages, {len(known)} words")
print(f"right of {held} held-out sentences: {right:.1%}; the commonest package: {commonest:.1%}")

# 5. What a detector looks for: the phrase under its greatest answer.
weights = program.parameters["head/1/weight"]
for number, package in enumerate(PACKAGES):
    detector = int(weights[:, number].argmax())
    sentence = int(asked["height"][:, detector].argmax())
    place = int(asked["place"][sentence, detector])
    phrase = " ".join(sentences[sentence][max(place - 1, 0) : place + 2])
    print(f'detector {detector:2}, for {package}: "{phrase}"')

figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
axis.plot(history.cost, label="learned from, with dropout")
axis.plot(history.validation_cost, label="held out")
axis.set(xlabel="epoch", ylabel="cost")
axis.legend(frameon=False)
figure.savefig(out / "learning_curve.svg")
print("the net and the learning curve are drawn in", out)
