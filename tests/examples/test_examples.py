"""Every example runs, without a warning, from any folder, and shows what it promises."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from .checks import CHECKS

ROOT = Path(__file__).resolve().parents[2]
# What each writes.
EXAMPLES = {
    "01_digits": ["backward.svg", "drawn.svg", "graph.svg", "learning_curve.svg"],
    "02_gradient_is_a_graph": ["gradient_of_gradient.svg"],
    "03_delay_and_loop": ["loop.svg", "states_and_gradients.svg"],
    "04_char_rnn": ["learning_curves.svg"],
    "05_neural_ode": ["lynx_and_hares.svg"],
    "06_seq2seq_attention": ["attention.svg"],
    "07_nets_of_1989": ["net1.svg", "net2.svg", "net3.svg", "net4.svg", "net5.svg"],
    "08_hypernetwork": ["backward.svg", "hypernetwork.svg", "tasks.svg"],
    "09_motif_detection": ["motif.svg", "shared.svg", "unshared.svg"],
    "10_learning_rules": [
        "adaline.svg", "adaline_learns.svg", "learning_rules.svg", "logistic.svg",
        "logistic_learns.svg", "perceptron.svg", "perceptron_learns.svg",
    ],
    "11_where_the_time_goes": ["step.json"],
    "12_lenet5": ["lenet5.svg", "line.svg", "simple.svg"],
    "13_convnet_stages": ["parts.svg", "stages.svg", "vintage.svg"],
    "14_bell_labs": ["bell_labs.svg", "maps.svg", "today.svg"],
    "15_resnet": [
        "learning_curves.svg", "net.svg", "plain.svg", "residual_A.svg", "residual_B.svg",
    ],
    "16_equivariance": ["equivariance.svg", "shifts.svg"],
    "17_depth_and_initialisation": [
        "convolutional.svg", "convolutional_layers.svg", "dense.svg", "dense_layers.svg",
    ],
    "18_mixture_of_experts": ["shares.svg", "soft.svg", "sparse.svg"],
    "19_transformer": ["heads.svg", "layer.svg", "learning_curve.svg", "model.svg"],
    "20_multi_character": ["pair.svg", "string.svg"],
    "21_hopfield": ["energy.svg", "letters.svg", "memory.svg", "recall.svg"],
    "22_boltzmann": ["course.svg", "digits.svg", "dreams.svg", "learning.svg", "weights.svg"],
    "23_optimizers": ["paths.svg", "surface.svg"],
    "24_text_classifier": ["learning_curve.svg", "net.svg"],
    "25_joint_embedding": ["byol.svg", "byol_backward.svg", "codes.svg", "vicreg.svg"],
    "26_unit_graph": ["by_chance.svg", "cascade.svg", "circle.svg"],
    "27_products": ["product_units.svg", "quadratic.svg", "sigma-pi.svg"],
}  # fmt: skip

# Those that take long are shortened.
QUICK = {
    "04_char_rnn": ["--epochs", "0.5"],
    "05_neural_ode": ["--steps", "1500"],
    "06_seq2seq_attention": ["--steps", "300"],
    "07_nets_of_1989": ["--seeds", "3"],
    "08_hypernetwork": ["--steps", "1500"],
    "12_lenet5": ["--epochs", "5"],
    "13_convnet_stages": ["--epochs", "3"],
    "14_bell_labs": ["--epochs", "10"],
    "15_resnet": ["--n", "9", "--epochs", "8"],
    "17_depth_and_initialisation": ["--depth", "30"],
    "18_mixture_of_experts": ["--steps", "1500"],
    "19_transformer": ["--steps", "150"],
    "20_multi_character": ["--epochs", "8", "--strings", "300"],
    "21_hopfield": ["--units", "200"],
    "22_boltzmann": ["--steps", "2000", "--epochs", "40"],
    "24_text_classifier": ["--epochs", "6"],
    "25_joint_embedding": ["--steps", "300"],
    "26_unit_graph": ["--starts", "8", "--epochs", "15"],
}


def run(name: str, folder: Path, *options: str) -> str:
    """What an example prints, run as a user does, from a folder of its own."""
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    finished = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True, text=True, encoding="utf-8", check=False, timeout=300,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_none_is_forgotten() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example(name: str, tmp_path: Path) -> None:
    out = tmp_path / "made" / "out"
    printed = run(name, tmp_path, "--out", str(out), *QUICK.get(name, []))
    assert sorted(path.name for path in out.iterdir()) == EXAMPLES[name]
    for path in out.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    more = [out / "step.json"] if name == "11_where_the_time_goes" else []
    CHECKS[name](printed, *more)
