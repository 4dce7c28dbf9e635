"""Loops as they are drawn: every form of them, rolled, unrolled and differentiated."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ..looping import FEATURES, TARGETS, WIDTH, Inputs, Target, check, given, numbers

Values = dict[str, Any]


def plain(v: Inputs, **options: Any) -> Values:
    t = dg.loop("t", **options)
    x, z = t.each(v["x"]), t.delay("z", v["h"])
    z_next = dg.tanh(z @ v["w"] + x @ v["u"])
    t.close(z, z_next)
    return {"Y": t.stack(z_next), "last": t.last(z_next), "sum": t.sum(z * z_next)}


def shared(v: Inputs) -> Values:
    """One weight in the loop, in another loop, and outside of both."""
    first = plain(v)
    again = plain({**v, "h": dg.tanh(v["h"] @ v["w"])})
    return {**first, **{f"{name} again": y for name, y in again.items()}}


def chained(v: Inputs) -> Values:
    """A decoder that starts from the encoder's last state and reads all of them, and itself."""
    encoder = plain(v)
    s = dg.loop("s", steps=v["x"].shape[0])
    y, h = s.each(encoder["Y"]), s.delay("h", encoder["last"])
    out = s.delay("out", dg.fill(0.5, ("B", WIDTH), dg.float64))
    h_next = dg.sigmoid(h @ v["w"] + y * out)
    s.close(h, h_next)
    s.close(out, h_next * 0.3 + out)
    return {"decoded": s.stack(h_next), "last": s.last(h_next)}


def nested(v: Inputs) -> Values:
    """For each element, a few steps of an inner loop, which also reads the outer one's state."""
    t = dg.loop("t")
    x, z = t.each(v["x"]), t.delay("z", v["h"])
    s = dg.loop("s", steps=3)
    a = s.delay("a", z)
    a_next = dg.tanh(a @ v["w"] + x @ v["u"] + 0.1 * z)
    s.close(a, a_next)
    z_next = s.last(a_next) + 0.1 * s.sum(a_next * z)
    t.close(z, z_next)
    return {"Y": t.stack(z_next), "inner": t.stack(s.stack(a)), "last": t.last(z_next)}


def reverse(v: Inputs) -> Values:
    forward, backward = plain(v), plain(v, reverse=True)
    both = dg.concatenate([forward["Y"], backward["Y"]], axis=2)
    return {"both": both, "last": backward["last"], "sum": backward["sum"]}


def delayed(v: Inputs) -> Values:
    """A Fibonacci of matrices: z(t-1) and z(t-3), one initial value or three of them."""
    t = dg.loop("t")
    x = t.each(v["x"])
    z = t.delay("z", v["h"])
    old = t.delay("old", v["h"], steps=3)
    three = dg.stack([v["h"], 2.0 * v["h"], dg.sin(v["h"])])
    other = t.delay("other", three, steps=3, shape=("B", WIDTH))
    z_next = dg.tanh(z @ v["w"] - old + other * other + x @ v["u"])
    for item in (z, old, other):
        t.close(item, z_next)
    return {"Y": t.stack(z_next), "old": t.stack(old), "other": t.stack(other)}


def pure(v: Inputs) -> Values:
    """Without a delay: a function of each element."""
    t = dg.loop("t")
    y = dg.tanh(t.each(v["x"]) @ v["u"]) @ v["w"]
    return {"Y": t.stack(y), "sum": t.sum(y), "last": t.last(y)}


def counted(v: Inputs) -> Values:
    """Without a sequence: so many powers of a matrix."""
    t = dg.loop("t", steps=4)
    z = t.delay("z", v["h"])
    t.close(z, dg.tanh(z @ v["w"]))
    s = dg.loop("s", steps=v["x"].shape[0])
    a = s.delay("a", v["h"])
    s.close(a, dg.tanh(a @ v["w"] + v["x"].sum(axis=0) @ v["u"]))
    return {"z": t.stack(z), "a": s.last(a)}


def derived(v: Inputs) -> Values:
    """The gradient of each step's cost, by its state and by the weights, in the loop's body."""
    t = dg.loop("t")
    x, z = t.each(v["x"]), t.delay("z", v["h"])
    cost = dg.sum(dg.tanh(z @ v["w"] + x @ v["u"]) ** 2)
    slope, steep = dg.gradient(cost, [z, v["w"]])
    t.close(z, z - 0.1 * slope)
    return {"z": t.stack(z), "steep": t.sum(steep), "last": t.last(z - 0.1 * slope)}


def in_two_levels(v: Inputs) -> Values:
    """A result of the loop that enters it again: the mean of all steps is taken from each."""
    t = dg.loop("t")
    x, z = t.each(v["x"]), t.delay("z", v["h"])
    z_next = dg.tanh(z @ v["w"] + x @ v["u"])
    t.close(z, z_next)
    whole = t.sum(z_next)
    return {"centred": t.stack(z_next * whole), "whole": whole}


def samples_first(v: Inputs) -> Values:
    t = dg.loop("t")
    x, z = t.each(dg.swapaxes(v["x"], 0, 1), axis=1), t.delay("z", v["h"])
    z_next = dg.tanh(z @ v["w"] + x @ v["u"])
    t.close(z, z_next)
    return {"Y": t.stack(z_next, axis=1), "end": t.stack(z_next, axis=-1)}


def checkpointed(v: Inputs) -> Values:
    """Segments of 3 and of 2 steps, forward and backward, a loop in a loop, and of one that has no
    more steps than a segment."""
    first = plain(v, checkpoint=3)
    second = plain(v, checkpoint=2, reverse=True)
    t = dg.loop("t", checkpoint=2)
    x, z = t.each(v["x"]), t.delay("z", v["h"])
    s = dg.loop("s", steps=3, checkpoint=2)
    a = s.delay("a", z)
    a_next = dg.tanh(a @ v["w"] + x @ v["u"])
    s.close(a, a_next)
    z_next = s.last(a_next) + s.sum(a_next)
    t.close(z, z_next)
    whole = plain(v, checkpoint=100, steps=v["x"].shape[0])
    return {
        **first,
        **{f"{name} back": y for name, y in second.items()},
        **{f"{name} whole": y for name, y in whole.items()},
        "nested": t.stack(z_next),
    }


def fixed(v: Inputs) -> Values:
    """As many steps as an integer says, with and without steps left over."""
    x = dg.broadcast_to(dg.sum(v["x"], axis=0), (6, "B", FEATURES))
    w = {**v, "x": x}
    nets = {k: plain(w, checkpoint=k, steps=6) for k in (2, 4, 7)}
    return {f"{name} {k}": y for k, found in nets.items() for name, y in found.items()}


def in_blocks(v: Inputs) -> Values:
    """A block that reads the loops around it, applied in a loop, in a block, in a loop."""
    t = dg.loop("t")
    x, z = t.each(v["x"]), t.delay("z", v["h"])

    @dg.block
    def inner(a: Any, b: Any) -> Any:
        return dg.tanh(a @ v["w"] + 0.5 * b * z)

    @dg.block
    def cell(x: Any, z: Any) -> Any:
        s = dg.loop("s", steps=3)
        a = s.delay("a", z)
        a_next = inner(a, x @ v["u"])
        s.close(a, a_next)
        return s.last(a_next), s.sum(a)

    last, total = cell(x, z)
    t.close(z, last)
    return {"last": t.last(last), "totals": t.stack(total * x.sum(axis=1)[:, None])}


def connected(v: Inputs) -> Values:
    """What computes a variable of the loop is said after its reader, and the loop's results."""
    t = dg.loop("t", steps=v["x"].shape[0])
    later = dg.variable("later", ("B", WIDTH), dg.float64)
    z = t.delay("z", v["h"])
    z_next = dg.tanh(later + z)
    t.close(z, z_next)
    found = {"Y": t.stack(z_next)}
    with pytest.raises(dg.DiagramError, match="is computed by nothing"):
        dg.Diagram("early", found)
    dg.connect(later, t.each(v["x"]) @ v["u"] + z @ v["w"])
    return found


NETS = {
    f.__name__: f
    for f in (
        plain, shared, chained, nested, reverse, delayed, pure, counted, derived, in_two_levels,
        samples_first, checkpointed, fixed,
        in_blocks, connected,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_rolled_is_unrolled_is_the_finite_difference(name: str) -> None:
    check(NETS[name], targets=("reference",))


@pytest.mark.parametrize("name", ["nested", "delayed", "counted", "checkpointed"])
def test_kernels_do_what_the_reference_does(name: str) -> None:
    check(NETS[name], orders=1, targets=("cpu",), sizes=[(0, 3), (7, 3)], differences=False)


def masked(v: Inputs) -> Values:
    """Samples of different lengths, forward and backward, with a delay of two steps."""
    lengths = dg.observed("lengths", ("B",), dg.int32)
    found: Values = {}
    for reverse in (False, True):
        t = dg.loop("t", lengths=lengths, reverse=reverse)
        x, z, old = t.each(v["x"]), t.delay("z", v["h"]), t.delay("old", v["h"], steps=2)
        z_next = dg.tanh(z @ v["w"] + x @ v["u"] - 0.5 * old)
        t.close(z, z_next)
        t.close(old, z_next)
        found[f"Y {reverse}"] = t.stack(z_next)
        found[f"last {reverse}"] = t.last(z_next)
        found[f"other {reverse}"] = t.last(z_next * z)
        found[f"sum {reverse}"] = t.sum(dg.sum(z_next * z, axis=1))
    return found


def lengths(steps: int, batch: int) -> dict[str, Any]:
    return {"lengths": np.array([0, steps, (steps + 1) // 2][-batch:], np.int32)}


def test_lengths_are_masks() -> None:
    check(masked, targets=("reference",), others=lengths)
    check(masked, orders=1, targets=("cpu",), differences=False, others=lengths)


@pytest.mark.parametrize("every", [1, 3])
def test_a_truncated_gradient_is_that_of_chunks(every: int) -> None:
    """The loop's gradient is that of chunk after chunk, each from the detached state before it."""

    def chunks(v: Inputs, steps: int, reverse: bool) -> Any:
        z, cost = v["h"], dg.constant(0.0, dg.float64)
        for count in range(steps):
            x = v["x"][steps - 1 - count if reverse else count]
            if count % every == 0 and count > 0:
                z = dg.stop_gradient(z)
            z = dg.tanh(z @ v["w"] + x @ v["u"])
            cost = cost + dg.sum(dg.sin(z))
        return cost + dg.sum(z * z)

    for steps, reverse in ((0, False), (1, False), (7, False), (7, True)):
        v = given()
        found = plain(v, truncate=every, reverse=reverse)
        rolled = dg.sum(dg.sin(found["Y"])) + dg.sum(found["last"] * found["last"])
        flat = chunks(v, steps, reverse)
        names = list(v)
        outputs = {
            f"rolled {n}": g
            for n, g in zip(names, dg.gradient(rolled, list(v.values())), strict=True)
        }
        outputs |= {
            f"flat {n}": g for n, g in zip(names, dg.gradient(flat, list(v.values())), strict=True)
        }
        values = dg.Diagram("d", outputs).compile(target="reference").run(**numbers(steps, 3))
        for name in names:
            np.testing.assert_allclose(
                values[f"rolled {name}"], values[f"flat {name}"], atol=1e-12, err_msg=name
            )


def test_truncation_leaves_the_values() -> None:
    check(lambda v: plain(v, truncate=2), targets=("reference",), differences=False)


def test_a_truncated_state_of_a_short_sample_has_its_whole_chunk() -> None:
    """What is held to the end is not cut at the chunks that come after its sample's last step."""
    v = given()
    samples = dg.observed("lengths", ("B",), dg.int32)
    last = plain(v, truncate=4, lengths=samples)["last"]
    slope = dg.gradient(dg.sum(last), v["x"])
    program = dg.Diagram("d", {"slope": slope}).compile()
    found = program.run(**numbers(7, 3), lengths=np.array([2, 7, 5], np.int32))["slope"]
    reached = np.abs(found).max(axis=2) > 0
    np.testing.assert_array_equal(reached[:, 0], [1, 1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(reached[:, 1], [0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(reached[:, 2], [0, 0, 0, 0, 1, 0, 0])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", [dg.float32, dg.float64])
def test_other_precisions_and_inputs_that_are_strided(target: Target, dtype: Any) -> None:
    program = dg.Diagram("d", masked(given())).compile(target=target, dtype=dtype)
    arrays = {name: value.astype(dtype) for name, value in numbers(7, 3).items()}
    strided = {name: np.repeat(value, 2, axis=-1)[..., ::2] for name, value in arrays.items()}
    more = lengths(7, 3)
    wanted, found = program.run(**arrays, **more), program.run(**strided, **more)
    exact = dg.Diagram("d", masked(given())).compile().run(**numbers(7, 3), **more)
    for name, value in wanted.items():
        assert value.dtype == dtype
        np.testing.assert_array_equal(found[name], value)
        np.testing.assert_allclose(value, exact[name], atol=1e-5 if dtype == dg.float32 else 1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_packed_sequences_are_those_of_pytorch(target: Target) -> None:
    torch = pytest.importorskip("torch")
    v = given()
    samples = dg.observed("lengths", ("B",), dg.int64)
    both = [plain(v, lengths=samples, reverse=reverse) for reverse in (False, True)]
    outputs = {
        "Y": dg.concatenate([found["Y"] for found in both], axis=2),
        "last": dg.stack([found["last"] for found in both]),
    }
    arrays, counts = numbers(7, 3), np.array([3, 7, 1], np.int64)
    values = dg.Diagram("d", outputs).compile(target=target).run(**arrays, lengths=counts)
    rnn = torch.nn.RNN(FEATURES, WIDTH, bias=False, bidirectional=True, dtype=torch.float64)
    with torch.no_grad():
        for suffix in ("", "_reverse"):
            getattr(rnn, f"weight_ih_l0{suffix}").copy_(torch.tensor(arrays["u"].T))
            getattr(rnn, f"weight_hh_l0{suffix}").copy_(torch.tensor(arrays["w"].T))
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            torch.tensor(arrays["x"]), torch.tensor(counts), enforce_sorted=False
        )
        out, last = rnn(packed, torch.tensor(np.stack([arrays["h"]] * 2)))
        padded, _ = torch.nn.utils.rnn.pad_packed_sequence(out)
    np.testing.assert_allclose(values["Y"], padded.numpy(), atol=1e-12)
    np.testing.assert_allclose(values["last"], last.numpy(), atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_a_truncated_gradient_is_that_of_pytorch_with_detached_states(target: Target) -> None:
    torch = pytest.importorskip("torch")
    v = given()
    cost = dg.sum(plain(v, truncate=3)["Y"] ** 2)
    outputs = dict(zip(v, dg.gradient(cost, list(v.values())), strict=True))
    arrays = numbers(7, 3)
    values = dg.Diagram("d", outputs).compile(target=target).run(**arrays)
    tensors = {n: torch.tensor(a, requires_grad=True) for n, a in arrays.items()}
    z, total = tensors["h"], torch.zeros((), dtype=torch.float64)
    for step, x in enumerate(tensors["x"]):
        z = z.detach() if step in (3, 6) else z
        z = torch.tanh(z @ tensors["w"] + x @ tensors["u"])
        total = total + (z * z).sum()
    total.backward()
    for name, tensor in tensors.items():
        np.testing.assert_allclose(values[name], tensor.grad.numpy(), atol=1e-12, err_msg=name)


@pytest.mark.parametrize("target", TARGETS)
def test_a_delay_of_no_float(target: Target) -> None:
    """A running count and maximum of integers, and whether there was one; the place of each."""
    x = dg.observed("x", ("T", "B"), dg.int32)
    t = dg.loop("t", steps="T")
    x_t, place = t.each(x), t.each(dg.arange("T"))
    count = t.delay("count", 0, shape=("B",), dtype=dg.int32)
    seen = t.delay("seen", False, shape=("B",))
    t.close(count, count + dg.where(x_t > 2, 1, dg.fill(0, ("B",), dg.int32)))
    t.close(seen, seen | (x_t > 2))
    d = dg.Diagram(
        "d", {"counts": t.stack(count), "seen": t.stack(seen), "sum": t.sum(x_t * place)}
    )
    values = np.array([[1, 3], [3, 0], [5, 4]], np.int32)
    found = d.compile(target=target).run(x=values)
    np.testing.assert_array_equal(found["counts"], [[0, 0], [0, 1], [1, 1]])
    np.testing.assert_array_equal(found["seen"], [[0, 0], [0, 1], [1, 1]])
    np.testing.assert_array_equal(found["sum"], values.T @ np.arange(3))


@pytest.mark.parametrize("target", TARGETS)
def test_a_final_value_before_and_after_its_delay_is_closed(target: Target) -> None:
    """Of what closes a delay it starts as the delay does; of anything else it starts at 0."""
    v = given()
    t = dg.loop("t")
    x, z = t.each(v["x"]), t.delay("z", v["h"])
    z_next = dg.tanh(z @ v["w"] + x @ v["u"])
    before = t.last(z_next)
    t.close(z, z_next)
    outputs = {"before": before, "after": t.last(z_next), "other": t.last(z), "Y": t.stack(z_next)}
    program = dg.Diagram("d", outputs).compile(target=target)
    arrays = numbers(0, 3)
    found = program.run(**arrays)
    np.testing.assert_array_equal(found["before"], arrays["h"])
    np.testing.assert_array_equal(found["after"], arrays["h"])
    np.testing.assert_array_equal(found["other"], np.zeros((3, WIDTH)))
    found = program.run(**numbers(5, 3))
    np.testing.assert_array_equal(found["before"], found["Y"][-1])
    np.testing.assert_array_equal(found["other"], found["Y"][-2])


def test_results_run_in_one_loop_and_need_no_more_than_they_say() -> None:
    """One loop for all outputs; a run that wants the states alone does not ask for the target."""
    from diagrad.compiler.primitives.recurrence import results_of

    v = given()
    y = dg.observed("y", ("T", "B", WIDTH), dg.float64)
    t = dg.loop("t")
    x, z = t.each(v["x"]), t.delay("z", v["h"])
    z_next = dg.tanh(z @ v["w"] + x @ v["u"])
    t.close(z, z_next)
    cost = t.sum(dg.squared_error(z_next, t.each(y)))
    d = dg.Diagram("d", {"Y": t.stack(z_next), "last": t.last(z_next)}, cost=cost)
    assert len(results_of(d.lower().nodes())) == 1
    assert sorted(d.compile(target="reference").run(**numbers(3, 1))) == ["Y", "last"]
    mean = dg.Diagram("d", in_two_levels(given()))
    assert len(results_of(mean.lower().nodes())) == 2
