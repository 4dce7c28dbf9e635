"""What the examples print, compared with what they promise."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


def check_digits(printed: str) -> None:
    assert printed.startswith("digits\n")  # the summary
    assert re.search(r"free parameters +9,610 ", printed)
    last = printed.splitlines()[-1]
    found = re.fullmatch(r"accuracy on 500 digits it has not seen: (\d+\.\d)%", last)
    assert found and float(found[1]) >= 97.0, last


def check_gradient(printed: str) -> None:
    found = re.search(r"by finite differences the same up to (\S+)", printed)
    assert found and float(found[1]) < 1e-8
    slopes = re.findall(r"penalty \S+: error \S+, mean squared slope (\S+)", printed)
    assert len(slopes) == 2 and float(slopes[1]) < 0.5 * float(slopes[0])


def check_loop(printed: str) -> None:
    """States and gradients are kept, kept, explode and vanish."""
    found = re.findall(r"^(\w+) +\|z\(20\)\| = (\S+) +\|.* = (\S+)$", printed, re.MULTILINE)
    for (name, state, slope), ratio in zip(found, (1.0, 1.0, 2.0, 0.5), strict=True):
        assert float(state) == pytest.approx(ratio**20, rel=1e-2), name
        assert float(slope) == pytest.approx(ratio**19, rel=1e-2), name
    assert printed.endswith("truncated, the gradient reaches the last 5 states\n")


def check_profile(printed: str, trace: Path) -> None:
    assert printed.startswith("step of 'profiled', x (128, 784), y (128,): ")
    assert "\nthe slowest kernel computes for " in printed
    assert "\nprogram 'profiled' on target cpu\n" in printed
    assert len(json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]) > 10


def check_char_rnn(printed: str) -> None:
    found = re.findall(r"^(lstm|gru): \d+ steps in \S+ s, bits per character (\S+)$", printed, re.M)
    assert [name for name, _ in found] == ["lstm", "gru"]
    assert all(float(bits) < 3.6 for _, bits in found), found  # without context: 4.7
    assert len(printed.partition("it writes:\n")[2]) == 401


def check_neural_ode(printed: str) -> None:
    found = re.search(r"squared error of logarithms: (\S+) at first, (\S+) fitted", printed)
    assert found and float(found[1]) > 0.4 and float(found[2]) < 0.06


def check_attention(printed: str) -> None:
    found = re.search(r"written backwards without a mistake: (\S+)%", printed)
    assert found and float(found[1]) >= 97.0


def check_nets(printed: str) -> None:
    """The counts are exact, and nets 3 to 5 know more of what they were not shown than net 1."""
    found = re.findall(r"^net\d +(\d+) +(\d+) +(\S+)% +(\S+)% ±", printed, re.M)
    counts = [(int(links), int(parameters)) for links, parameters, _, _ in found]
    assert counts == [(2570, 2570), (3214, 3214), (1226, 1226), (2266, 1132), (5194, 1060)]
    assert all(float(learned) > 90 for _, _, learned, _ in found), found
    first, *_, third, fourth, fifth = (float(right) for *_, right in found)
    assert third > first + 8 and fourth > first + 10 and fifth > first + 15, found


def check_hypernetwork(printed: str) -> None:
    """With G's weights for each task, the error is a small part of that of one set for all."""
    found = re.findall(r"^(\w+) +([\d,]+) +([\d,]+) +(\S+)%$", printed, re.M)
    assert [name for name, *_ in found] == ["fixed", "hypernetwork", "large"]
    assert [(free, used) for _, free, used, _ in found] == [
        ("61", "61"), ("2,271", "31"), ("2,245", "2,245"),
    ]  # fmt: skip
    fixed, hypernetwork, _ = (float(left) for *_, left in found)
    assert fixed > 12 and hypernetwork < 6, found
    alone = re.search(r"^G by itself, .* differs by (\S+)$", printed, re.M)
    assert alone and float(alone[1]) < 1e-5


def check_motif(printed: str) -> None:
    """What is shared does not see a shift, generalises, and is the motif."""
    shared, unshared = printed.split("unshared: ")
    assert shared.startswith("shared: 1,800 links, 12 parameters\n")
    assert unshared.startswith("1,800 links, 900 parameters\n")
    percent = r"right about others: +(\S+)%"
    change = r"greatest change of a response by a shift: +(\S+)$"
    assert float(re.findall(percent, shared)[0]) > 96 > float(re.findall(percent, unshared)[0])
    assert float(re.findall(change, shared, re.M)[0]) < 1e-5
    assert float(re.findall(change, unshared, re.M)[0]) > 1
    cosine = re.search(r"^cosine of u and the tooth: (\S+)$", unshared, re.M)
    assert cosine and float(cosine[1]) > 0.97


def check_learning_rules(printed: str) -> None:
    """The rule is the gradient for each, exactly or to the last bits, and each learns by it."""
    found = re.findall(r"^(\w+): .* at most (\S+); .* in (\S+)% of 257 cases$", printed, re.M)
    assert [name for name, _, _ in found] == ["perceptron", "adaline", "logistic"]
    assert all(float(apart) < 1e-14 and float(right) > 95 for _, apart, right in found), found


def check_lenet5(printed: str) -> None:
    """The counts of the slides; a line read at once has the scores of its images."""
    simple, lenet5 = printed.split("lenet5: ", 1)
    assert simple.startswith(
        "simple: 431,080 parameters, {'conv1': 520, 'conv2': 25050, 'fc1': 400500, 'fc2': 5010}\n"
    )
    assert lenet5.startswith(
        "61,706 parameters, {'c1': 156, 'c3': 2416, 'c5': 48120, 'f6': 10164, 'f7': 850}\n"
    )
    rights = re.findall(r"^  right of .*: (\S+)%$", printed, re.M)
    assert len(rights) == 3 and min(map(float, rights)) > 94, rights
    apart = re.search(r"^  its scores differ from .* by at most (\S+)$", lenet5, re.M)
    assert apart and float(apart[1]) < 1e-4
    assert "  its 2,995 places have 374,451,482 links, as many images 1,266,998,810\n" in lenet5


def check_stages(printed: str) -> None:
    """All parts do in even light; in the other, it takes both normalisations."""
    found = re.findall(r"^(\S+) +(\S+) +(\S+) +(\S+)% +(\S+)%$", printed, re.M)
    rights = {tuple(parts): (float(even), float(other)) for *parts, even, other in found}
    assert set(rights) == {
        ("both", "relu", "max"),
        ("none", "relu", "max"),
        ("subtractive", "relu", "max"),
        ("both", "shrinkage", "max"),
        ("both", "tanh", "max"),
        ("both", "relu", "mean"),
        ("both", "relu", "L2"),
        ("both", "relu", "log-sum-exp"),
    }
    assert all(even > 88 for even, _ in rights.values()), rights
    assert rights["none", "relu", "max"][1] < 40, rights
    for (norm, _, _), (even, other) in rights.items():
        assert norm != "both" or other > even - 4, rights
    then = re.search(r"^the net of 1990 +(\S+)% ", printed, re.M)
    assert then and float(then[1]) > 80
    assert "\nit has 98,442 links and 2,578 parameters\n" in printed


def check_bell_labs(printed: str) -> None:
    """Units, links and parameters are the paper's; both nets learn."""
    then, today = printed.split("today\n")
    assert re.findall(r"^  (\w+) +(\S+) +(\S+) +(\S+)   the same$", then, re.M) == [
        ("h1", "768", "19,968", "1,068"),
        ("h2", "192", "38,592", "2,592"),
        ("h3", "30", "5,790", "5,790"),
        ("out", "10", "310", "310"),
        ("all", "1,256", "64,660", "9,760"),
    ]
    assert re.findall(r"^  (\w+) .*   (\S+) links, (\S+) parameters$", today, re.M) == [
        ("h1", "+0", "-756"), ("h2", "+19,200", "+1,020"), ("all", "+19,200", "+264"),
    ]  # fmt: skip
    wrong = re.findall(r"wrong of what it has learned (\S+)%, of 500 others (\S+)%", printed)
    assert len(wrong) == 2
    assert all(float(known) < 4 and float(others) < 6 for known, others in wrong), wrong


def check_resnet(printed: str) -> None:
    """The counts are exact, and of 56 layers those with shortcuts learn faster by far."""
    line = r"^ 56 layers, (.+?)  +([\d,]+) parameters  cost (\S+)  (\S+)% right of 500 not shown$"
    found = re.findall(line, printed, re.M)
    assert [(kind, count) for kind, count, *_ in found] == [
        ("plain", "214,402"), ("residual, A", "214,402"), ("residual, B", "215,138"),
    ]  # fmt: skip
    plain, *residual = (float(cost) for *_, cost, _ in found)
    assert all(cost < 0.7 and plain > 2.5 * cost for cost in residual), found
    assert all(float(right) > 85 for *_, right in found[1:]), found


def check_equivariance(printed: str) -> None:
    """Zero at multiples of the stride and only there, and shares as the formula has them."""
    rows = [
        (name, np.array(numbers.split(), float))
        for name, numbers in re.findall(r"^ *(\S.*?)  +((?:\d\.\d\d *){9})$", printed, re.M)
    ]
    table = dict(rows)
    for stride in (1, 2, 4):
        equal = table[f"stride {stride}: are apart by"] == 0
        assert (equal == (np.arange(9) % stride == 0)).all()
    assert (table["a trous: are apart by"] == 0).all()
    assert "of columns 0 to 28, these differ: 0 1 27 28\n" in printed
    formulas = [numbers for name, numbers in rows if name == "2 s / (p + s)"]
    changes = [numbers for name, numbers in rows if name == "pooled responses change by"]
    for size, formula in zip((2, 4, 8), formulas, strict=True):
        assert abs(table[f"max{size}: share that changes"] - formula).max() < 0.03
        assert (table[f"mean{size}: share that changes"][1:] > 0.99).all()
    itself = table["the response itself changes by"]
    assert len(changes) == 6 and all((change[1:] < itself[1:]).all() for change in changes)


def check_depth(printed: str) -> None:
    """Each factor is that of the formula, or next to it."""
    line = r"^  (.+?) +Var\[z\] x (\S+) \((\S+)\)  Var\[dC/dz\] x (\S+) \((\S+)\)$"
    found = re.findall(line, printed, re.M)
    assert len(found) == 2 * 3 * 5
    for name, *factors in found:
        forward, expected, backward, slope = map(float, factors)
        assert forward == pytest.approx(expected, rel=0.1), name
        assert backward == pytest.approx(slope, rel=0.1), name


def check_hopfield(printed: str) -> None:
    """Letters come back whole, the energy falls, and memory is full at 0.14 patterns a unit."""
    letters = re.findall(r"are right before, (\S+)% after$", printed, re.MULTILINE)
    assert letters == ["100.0", "100.0"]
    rises = re.findall(r"rose by at most (\S+) of its size$", printed, re.MULTILINE)
    assert len(rises) == 2 and float(rises[0]) == 0 and float(rises[1]) < 1e-6
    found = re.findall(r"^(sign|tanh) (\S+): (\S+), +(\d+)%$", printed, re.MULTILINE)
    assert len(found) == 20
    for activation, load, overlap, _ in found:
        if float(load) <= 0.05:
            assert float(overlap) > 0.99, activation
        elif float(load) >= 0.25:
            assert float(overlap) < 0.6, activation


def check_boltzmann(printed: str) -> None:
    found = re.findall(r"^(\w+) *: they have (\S+)%, and it is (\S+) bits", printed, re.MULTILINE)
    assert [name for name, *_ in found] == ["visible", "hidden", "restricted", "divergence"]
    away = {name: float(bits) for name, _, bits in found}
    assert all(float(share) > 85 for _, share, _ in found), found
    assert max(away["visible"], away["hidden"], away["restricted"]) < away["divergence"] < 0.6
    halves = re.search(r"digits: (\S+)% of the dots are wrong, (\S+)% by the mean", printed)
    assert halves and float(halves[1]) < 0.9 * float(halves[2])


def check_experts(printed: str) -> None:
    """The soft mixture finds the regions; the cost of the load keeps every expert at work."""
    errors = [float(error) for error in re.findall(r"error (\S+)", printed)]
    linear, soft, one, balanced = errors
    assert linear > 0.6 and soft < 0.25 * linear and max(one, balanced) < 0.3 * linear, errors
    shares = re.findall(r"asked about (.+)$", printed, re.M)
    least = [min(int(share.rstrip("%")) for share in row.split()) for row in shares]
    assert least[0] >= 8 and least[2] >= 8 and least[1] < least[2], least


def check_optimizers(printed: str) -> None:
    steps = {n: int(k) for n, k in re.findall(r"^(\w+) +(\d+) steps until", printed, re.MULTILINE)}
    assert set(steps) == {"SGD", "momentum", "Nesterov", "RMSprop", "Adam"}
    assert max(steps["momentum"], steps["Nesterov"], steps["Adam"]) < 0.3 * steps["SGD"]
    assert max(steps.values()) < 1000
    rates = re.findall(r"rate (\S+) *: distance (\S+) early, (\S+) at the end", printed)
    late = {name: float(end) for name, _, end in rates}
    assert set(late) == {"constant", "steps", "cosine", "1/t"}
    assert max(late["steps"], late["cosine"], late["1/t"]) < 0.6 * late["constant"]


def check_transformer(printed: str) -> None:
    found = re.search(r"bits per character (\d\.\d+)\n", printed)
    assert found and float(found[1]) < 3.3, printed  # 4.7 from the frequencies alone
    found = re.search(r"second: (\d+) with keys and values kept, (\d+) without: the same", printed)
    assert found and int(found[1]) > 2 * int(found[2]), printed
    assert printed.count("drawn:\nThe ") == 3


def check_text(printed: str) -> None:
    found = re.search(r"sentences: (\S+)%; the commonest package: (\S+)%", printed)
    assert found and float(found[1]) > 65 and float(found[1]) > 2 * float(found[2]), printed
    phrases = re.findall(r'^detector +\d+, for (\w+): "(\w+( \w+)*)"$', printed, re.MULTILINE)
    assert len(phrases) == 6


def check_joint_embedding(printed: str) -> None:
    line = r"(\w+) *: the probe is right in (\S+)% before, (\S+)% after; .* features (\S+)$"
    found = re.findall(line, printed, re.MULTILINE)
    assert [name for name, *_ in found] == ["InfoNCE", "VICReg", "BYOL"]
    for name, before, after, deviation in found:
        assert float(after) > float(before) + 2, name
        assert float(deviation) > 0.02, name
    line = r"the nearest of 100 is right in (\S+)% before, (\S+)% after; .* digit (\S+)%, (\S+)%$"
    found = re.findall(line, printed, re.MULTILINE)
    assert len(found) == 3
    for texts in found:
        first, after, clusters, later = map(float, texts)
        assert after > first + 2 and later > clusters + 1


def check_strings(printed: str) -> None:
    """Each machine that knows more reads more strings; a string is right if all digits are."""
    found = re.findall(r": (\S+)% of strings right, (\S+)% of digits wrong", printed)
    right, wrong = zip(*(map(float, pair) for pair in found), strict=True)
    assert right[0] + 10 < right[1] < right[2] - 10 and right[2] > 85
    assert wrong[0] > wrong[1] > wrong[2] and wrong[2] < 5


def check_graphs(printed: str) -> None:
    found = re.findall(r"of (\d) (?:\+ 1 )?units, (\d+) weights: (\d+) of 8", printed)
    cascade, too_few, layers = ([int(word) for word in row] for row in found)
    assert cascade[:2] == [2, 7] and cascade[2] >= 4
    assert too_few == [1, 4, 0]
    assert layers[:2] == [3, 12] and layers[2] >= 4
    assert "do not lead round, got h -> y -> h: give one of them a delay" in printed
    share = re.search(r"asked about sequences of 100 bits: (\S+)% right", printed)
    assert share and float(share[1]) == 100
    digits = re.findall(r"digits \w+ \w+: (\d+) edges, (\d+) levels, (\S+)% of 500", printed)
    chance, layered = ([float(word) for word in row] for row in digits)
    assert chance[1] > 20 and layered[1] == 2 and min(chance[2], layered[2]) > 93


def check_products(printed: str) -> None:
    law = re.findall(r"^ +\+(\S+) m\^(\S+) v\^(\S+) h\^(\S+)$", printed, re.MULTILINE)
    found = sorted([float(number) for number in texts] for texts in law)
    right = np.array([[0.5, 1, 2, 0], [1, 1, 0, 1]])
    assert np.allclose(np.array(found), right, atol=0.03), law
    assert "times the cosine: [1.0, " in printed
    errors = re.findall(r"^(\S+ ?\w*) +error +(\S+)% .* (\S+)% in twice", printed, re.MULTILINE)
    assert len(errors) == 6
    for (_, *module), (_, *net) in zip(errors[::2], errors[1::2], strict=True):
        assert all(float(one) < 0.2 for one in module) and float(net[1]) > 5


CHECKS: dict[str, Callable[..., None]] = {
    "01_digits": check_digits,
    "02_gradient_is_a_graph": check_gradient,
    "03_delay_and_loop": check_loop,
    "04_char_rnn": check_char_rnn,
    "05_neural_ode": check_neural_ode,
    "06_seq2seq_attention": check_attention,
    "07_nets_of_1989": check_nets,
    "08_hypernetwork": check_hypernetwork,
    "09_motif_detection": check_motif,
    "10_learning_rules": check_learning_rules,
    "11_where_the_time_goes": check_profile,
    "12_lenet5": check_lenet5,
    "13_convnet_stages": check_stages,
    "14_bell_labs": check_bell_labs,
    "15_resnet": check_resnet,
    "16_equivariance": check_equivariance,
    "17_depth_and_initialisation": check_depth,
    "18_mixture_of_experts": check_experts,
    "19_transformer": check_transformer,
    "20_multi_character": check_strings,
    "21_hopfield": check_hopfield,
    "22_boltzmann": check_boltzmann,
    "23_optimizers": check_optimizers,
    "24_text_classifier": check_text,
    "25_joint_embedding": check_joint_embedding,
    "26_unit_graph": check_graphs,
    "27_products": check_products,
}
"""What is looked at in what each prints."""
