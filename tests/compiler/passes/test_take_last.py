"""take_last: outputs[-1] of a recurrent net costs no sequence on the way back."""

import numpy as np
import pytest

from diagrad.compiler.graphs.interface import SizeRuleError, check_sizes, interface_of
from diagrad.compiler.graphs.verify import verify
from diagrad.compiler.passes.take_last import take_last
from diagrad.compiler.pipeline import prepare

from ..building import b, graph, run
from ..graphs.test_loop_bodies import B, H, T, arrays, recurrent, total


@pytest.mark.parametrize("reverse", [False, True])
def test_the_last_state(reverse: bool) -> None:
    outer, results = recurrent(reverse)
    first = 0 if reverse else T - 1
    one = b.slice(results["stack_z"], start=(first, 0, 1), stop=(first + 1, B, H), step=(1, 1, 1))
    outputs = {"one": one, "slope": b.gradient(total(b.sin(one)), outer["w"])}
    drawn = graph(*outer.values(), outputs=outputs)
    short = take_last(drawn)
    verify(short)
    wanted_results = {n.attrs["result"] for n in short.nodes() if n.op == "loop"}
    assert wanted_results == {"last"}
    ready = prepare(drawn)
    assert not any(n.op in ("pad", "scatter_add") and n.type.rank == 3 for n in ready.nodes())
    stacked = prepare(graph(*outer.values(), z=results["stack_z"]))
    for steps in (1, 2, 7):
        sizes = {"T": steps, "B": 2}
        wanted = run(stacked, arrays(steps, 2), sizes=sizes)["z"]
        place = 0 if reverse else steps - 1
        for target in ("reference", "cpu"):
            found = run(ready, arrays(steps, 2), target, sizes)
            np.testing.assert_allclose(found["one"], wanted[place : place + 1, :, 1:], rtol=1e-12)
    with pytest.raises(SizeRuleError):
        check_sizes(interface_of(ready).rules, {"T": 0, "B": 2}, training=False)


def test_other_elements_stay() -> None:
    outer, results = recurrent()
    for start, of in ((0, "stack_z"), (T - 2, "stack_z"), (T - 1, "stack_y")):
        one = b.slice(results[of], start=(start, 0, 0), stop=(start + 1, B, H), step=(1, 1, 1))
        whole = graph(*outer.values(), one=one)
        (loop,) = (n for n in take_last(whole).nodes() if n.op == "loop")
        assert loop.attrs["result"] == "stack"
