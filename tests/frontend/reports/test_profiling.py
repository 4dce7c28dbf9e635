"""`program.profile`: what it finds adds up, and leaves the program as it is."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.programs.targets import CpuEngine
from diagrad.frontend.reports import profiling
from diagrad.frontend.reports.profile import KernelTime, Profile, split_origin, time_text
from diagrad.runtime.cpu.limits import machine_limits

rng = np.random.default_rng(0)
X = rng.normal(size=(37, 24)).astype(np.float32)
Y = rng.integers(0, 5, 37).astype(np.int32)


def classifier(dtype: Any = "float32", width: int = 16) -> dg.Diagram:
    x = dg.observed("x", ("B", 24), dtype)
    y = dg.observed("y", ("B",), dtype=dg.int32)
    layers = (dg.Linear(24, width, dtype=dtype), dg.relu, dg.Linear(width, 5, dtype=dtype))
    scores = dg.Chain(*layers, name="net")(x)
    return dg.Diagram("classifier", {"scores": scores}, cost=dg.cross_entropy(scores, y))


def adds_up(found: Profile) -> None:
    """Every row is there once, and no time is charged twice."""
    assert [row.number for row in found.rows] == list(range(len(found.rows)))
    assert found.seconds > 0 and found.traced > 0
    assert found.in_kernels > 0
    assert found.in_kernels == pytest.approx(sum(block.seconds for block in found.blocks))
    for row in found.rows:
        assert sum(part for _, part in row.blocks) == pytest.approx(1)
        assert row.share == pytest.approx(row.seconds / found.parts)
        assert row.calls >= 0 and 0 <= row.threads <= found.threads + 0.5
    seconds = [block.seconds for block in found.blocks]
    assert seconds == sorted(seconds, reverse=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step(dtype: str) -> None:
    program = classifier(dtype).compile(dg.Adam(0.1))
    x = X.astype(dtype)
    program.step(x=x, y=Y)
    before = {name: array.copy() for name, array in program.states.items()}
    arrays = dict(program.states)
    found = program.profile(x=x, y=Y)
    adds_up(found)
    assert (found.method, found.repeats, found.threads) == ("step", 20, 1)
    assert found.shapes == {"x": (37, 24), "y": (37,)}
    for name, array in program.states.items():
        assert array is arrays[name]
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    (executor,) = program.executions()[0].executors().values()
    assert len(found.rows) == len(executor.program.instructions)
    names = {block.name for block in found.blocks}
    assert {"net/0", "net/2", "cross_entropy", "Adam"} <= names
    adam = next(block for block in found.blocks if block.name == "Adam")
    assert adam.update > 0 and adam.forward == adam.backward == 0
    net = next(block for block in found.blocks if block.name == "net/0")
    assert net.forward > 0 and net.backward > 0
    # The product of the first layer, whose counts are known.
    first = next(row for row in found.rows if row.blocks[0][0] == "net/0")
    size = np.dtype(dtype).itemsize
    assert first.flops >= 2 * 37 * 24 * 16
    assert first.read == size * (37 * 24 + 24 * 16 + 16)
    assert first.flops_per_s == first.flops / first.seconds
    assert first.bytes_per_s == (first.read + first.written) / first.seconds
    limit = found.limits.flops_per_s[dtype]
    assert first.arithmetic_share == pytest.approx(first.flops_per_s / limit)
    assert first.memory_share == pytest.approx(first.bytes_per_s / found.limits.bytes_per_s)


def test_the_next_step_is_the_one_it_would_have_been() -> None:
    one, two = (classifier().compile(dg.Adam(0.1)) for _ in range(2))
    one.profile("step", 3, x=X, y=Y)
    one.profile("run", 3, x=X)
    assert [one.step(x=X, y=Y) for _ in range(3)] == [two.step(x=X, y=Y) for _ in range(3)]


def test_a_run() -> None:
    program = classifier().compile()
    found = program.profile(x=X)
    assert found.method == "run" and set(found.shapes) == {"x"}
    adds_up(found)
    assert {block.name for block in found.blocks} == {"net/0", "net/relu", "net/2"}
    assert not any(block.backward or block.update for block in found.blocks)
    with_cost = program.profile("run", 1, x=X, y=Y)
    assert len(with_cost.rows) > len(found.rows)
    trained = classifier().compile(dg.SGD(0.1))
    assert trained.profile("run", 1, x=X).method == "run"


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads(threads: int) -> None:
    program = classifier(width=2048).compile(dg.SGD(0.1), threads=threads)
    x, y = rng.normal(size=(301, 24)).astype(np.float32), rng.integers(0, 5, 301).astype(np.int32)
    before = {name: array.tobytes() for name, array in program.states.items()}
    found = program.profile("step", 5, x=x, y=y)
    adds_up(found)
    assert found.threads == threads
    assert {name: array.tobytes() for name, array in program.states.items()} == before
    assert found.limits.threads == threads
    assert set(found.trace.threads.tolist()) <= set(range(threads))
    assert max(row.calls for row in found.rows) > 1


@pytest.mark.parametrize("batch", [0, 1, 7])
def test_batches(batch: int) -> None:
    program = classifier().compile(dg.SGD(0.1))
    adds_up(program.profile("run", 2, x=X[:batch])) if batch else program.profile("run", 2, x=X[:0])
    if batch:
        adds_up(program.profile("step", 2, x=X[:batch], y=Y[:batch]))


def test_the_turns_of_a_loop() -> None:
    """A row in a loop runs once for each turn, and its numbers are of all turns."""
    steps, batch, width = 11, 3, 7
    x = dg.observed("x", ("T", "B", width))
    w = dg.parameter("w", (width, width))
    t = dg.loop("t")
    z = t.delay("z", dg.broadcast_to(dg.constant(np.zeros(width, np.float32)), ("B", width)))
    after = dg.tanh(z @ w + t.each(x))
    t.close(z, after)
    program = dg.Diagram("loop", {"last": t.last(after)}).compile()
    value = rng.normal(size=(steps, batch, width)).astype(np.float32)
    found = program.profile("run", 3, x=value)
    adds_up(found)
    products = [row for row in found.rows if "contract" in row.kernel]
    assert [row.calls for row in products] == [steps]
    assert products[0].flops == steps * batch * width * (2 * width + 1 + 10)
    assert found.trace.rows.tolist().count(products[0].number) == steps


def test_shares_are_of_the_parts() -> None:
    """Also where the measured steps differ much, so that medians do not add up."""
    found = classifier().compile().profile("run", 5, x=X)
    slow = replace(found, traced=10 * found.traced)
    assert sum(row.share for row in slow.rows) == pytest.approx(slow.in_kernels / slow.parts)
    (whole,) = re.findall(r"in kernels .* (\d+)%", str(slow))
    assert float(whole) == pytest.approx(100 * sum(row.share for row in slow.rows), abs=0.51)
    shares = [float(item) for item in re.findall(r"(\d+\.\d)%  \w+/", slow.table(None))]
    assert shares and sum(shares) == pytest.approx(100 * slow.in_kernels / slow.parts, abs=3)


def test_inputs_as_for_a_step() -> None:
    program = classifier().compile(dg.SGD(0.1))
    wide = np.repeat(X, 2, axis=1)[:, ::2]
    assert not wide.flags.c_contiguous
    adds_up(program.profile("step", 2, x=wide, y=Y.tolist()))


def test_wrong_inputs_are_those_of_a_step() -> None:
    program = classifier().compile(dg.SGD(0.1))
    program.step(x=X, y=Y)
    before = {name: array.copy() for name, array in program.states.items()}
    labels = Y.copy()
    labels[3] = 5
    wrong: list[dict[str, Any]] = [
        {"x": X},
        {"x": X, "y": Y, "z": Y},
        {"x": X[:, :3], "y": Y},
        {"x": X.astype(np.float64), "y": Y},
        {"x": X, "y": Y[:4]},
        {"x": X, "y": labels},
        {"x": X[:0], "y": Y[:0]},
    ]
    for inputs in wrong:
        with pytest.raises(dg.InputError) as expected:
            program.step(**inputs)
        with pytest.raises(dg.InputError) as found:
            program.profile(**inputs)
        assert str(found.value) == str(expected.value)
    for name, array in program.states.items():
        np.testing.assert_array_equal(array, before[name])


def test_a_failure_leaves_the_program_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    program = classifier().compile(dg.SGD(0.1))
    before = {name: array.copy() for name, array in program.states.items()}

    def fail(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(profiling, "row_costs", fail)
    with pytest.raises(KeyboardInterrupt):
        program.profile(x=X, y=Y)
    for name, array in program.states.items():
        np.testing.assert_array_equal(array, before[name])
    program.step(x=X, y=Y)


def message(program: dg.Program, *options: Any, **inputs: Any) -> str:
    with pytest.raises(dg.InputError) as error:
        program.profile(*options, **inputs)
    return str(error.value)


def test_wrong_options() -> None:
    program = classifier().compile()
    assert message(program, "step", x=X, y=Y) == (
        "program 'classifier' has no optimizer: compile it with optimizer=dg.SGD(...) to train it"
    )
    assert message(program, "train", x=X) == (
        "profile of 'classifier' expects \"step\" or \"run\", got 'train'"
    )
    for repeats in (0, -1, 1.5, True):
        assert message(program, "run", repeats, x=X) == (
            f"profile of 'classifier' expects a number of repeats from 1 on, got {repeats!r}"
        )
    assert message(program, x=X, repeats=3) == (
        "profile of 'classifier' takes method and repeats before the inputs, without names: "
        'program.profile("step", 20, x=...)'
    )
    assert message(classifier().compile(target="reference"), x=X) == (
        "profile of 'classifier' expects target cpu or cuda, got reference: that runs NumPy's "
        "functions one after another, whose times say nothing of the kernels; compile with "
        'target="cpu"'
    )


def test_inputs_may_have_any_name() -> None:
    method, repeats = dg.observed("method", ("B", 3)), dg.observed("repeats", ("B", 3))
    program = dg.Diagram("names", {"sum": method + repeats}).compile()
    found = program.profile("run", 2, method=X[:, :3], repeats=X[:, :3])
    assert found.repeats == 2 and set(found.shapes) == {"method", "repeats"}


def test_the_text() -> None:
    program = classifier().compile(dg.Adam(0.1))
    found = program.profile(x=X, y=Y)
    lines = str(found).splitlines()
    assert lines[0].startswith("step of 'classifier', x (37, 24), y (37,): ")
    assert lines[0].endswith(" on 1 thread, median of 20")
    assert lines[1].startswith("with the clock read around every kernel: ")
    assert [line.split()[0] for line in lines[2:5]] == ["in", "between", "outside"]
    assert lines[5].startswith("limits of this machine on 1 thread: ")
    head = "time share kernel for calls threads GB/s GFLOP/s of the limit"
    assert lines[7].split() == head.split()
    assert any("Adam" in line and line.rstrip().endswith(("us", "ns")) for line in lines)
    assert lines[-1] == (
        "~ some of its kernels are shared: their time is divided by estimated work"
    )
    short = found.table(2)
    assert f"... and {len(found.rows) - 2} more" in short.splitlines()
    whole = found.table(None)
    assert all(row.kernel[:20] in whole for row in found.rows) and "more\n" not in whole
    assert repr(found) == str(found)
    assert found._repr_html_().startswith("<pre>step of &#x27;classifier&#x27;")
    assert " once" not in str(found) and "on 1 thread, once" in str(
        program.profile("step", 1, x=X, y=Y)
    )


def test_times_as_text() -> None:
    wanted = {
        0.0: "0 ns", 2.34e-9: "2 ns", 9.994e-7: "999 ns", 9.996e-7: "1.00 us", 1.2345e-5: "12.3 us",
        1.2345e-4: "123 us", 9.9949e-6: "9.99 us", 0.00123: "1.23 ms", 4.5: "4.50 s",
    }  # fmt: skip
    assert {value: time_text(value) for value in wanted} == wanted


def test_the_limit_that_is_nearest() -> None:
    def bound(memory: float, arithmetic: float, cached: bool = False) -> str:
        shares = (memory, arithmetic, cached)
        return KernelTime(0, "k", (), 1.0, 1.0, 1, 1.0, 1, 1, 1, *shares).bound

    assert bound(0.7, 0.2) == "memory" and bound(0.2, 0.7) == "arithmetic"
    assert bound(0.7, 0.2, True) == "cache" and bound(0.2, 0.7, True) == "arithmetic"
    assert bound(1.7, 0.2, True) == "cache" and bound(1.7, 1.0, True) == "arithmetic"
    assert bound(0.0, 0.0) == ""


def test_what_fits_a_cache_is_not_bound_by_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    program = classifier().compile(dg.SGD(0.1))
    found = program.profile("step", 3, x=X, y=Y)
    assert all(row.cached and row.bound != "memory" for row in found.rows)
    monkeypatch.setattr(
        CpuEngine, "limits", lambda self, threads: replace(machine_limits(threads), cached=0)
    )
    found = program.profile("step", 3, x=X, y=Y)
    assert all(row.cached == (row.memory_share > 1) for row in found.rows)


def test_origins() -> None:
    assert split_origin("net/0") == ("net/0", "forward")
    assert split_origin("net/0 backward") == ("net/0", "backward")
    assert split_origin("SGD update") == ("SGD", "update")


def test_a_trace_for_viewers(tmp_path: Path) -> None:
    program = classifier(width=2048).compile(dg.SGD(0.1), threads=2)
    found = program.profile("step", 3, x=X, y=Y)
    path = tmp_path / "trace.json"
    found.chrome_trace(path)
    held = json.loads(path.read_text(encoding="utf-8"))
    events = held["traceEvents"]
    shares = [event for event in events if "args" in event and "row" in event["args"]]
    assert len(shares) == len(found.trace.rows)
    assert {event["args"]["row"] for event in shares} == {row.number for row in found.rows}
    (whole,) = (event for event in events if event["name"] == "step of classifier")
    for event in shares:
        assert event["ph"] == "X" and event["pid"] == 1 and event["dur"] >= 0
        assert (
            0 <= event["ts"] <= whole["dur"] and event["ts"] + event["dur"] <= whole["dur"] + 1e-6
        )
        assert event["name"] == found.rows[event["args"]["row"]].kernel
    named = {
        event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"
    }
    assert named[0] == "caller" and {event["tid"] for event in shares} <= set(named)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        found.chrome_trace(tmp_path / "none" / "trace.json")
    assert [item.name for item in tmp_path.iterdir()] == ["trace.json"]
