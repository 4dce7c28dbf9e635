"""One row replaced: in place where nothing reads the old value later, and right elsewhere."""

from typing import Any

import numpy as np
import pytest

import diagrad as dg
from diagrad.frontend.operations.indexing import put

from ..rows.running import TARGETS, Target

X = np.random.default_rng(0).normal(size=(11, 4, 17)).astype(np.float32)


def filled(read_old: bool) -> dg.Diagram:
    """A cache that a loop fills row by row, and a sum over it at every step."""
    t, x = dg.loop("t"), dg.observed("x", ("T", 4, 17))
    cache = t.delay("cache", 0.0, shape=(4, 37, 17))
    count = t.delay("count", 0, shape=(), dtype=dg.int32)
    more = put(cache, count, t.each(x), axis=1)
    t.close(cache, more)
    t.close(count, count + 1)
    total = dg.sum(more * more)
    if read_old:
        total = dg.sum(cache * more)
    return dg.Diagram("filled", {"cache": t.last(more), "total": t.stack(total)})


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("read_old", [False, True])
def test_a_loop_fills_a_cache(read_old: bool, target: Target) -> None:
    program = filled(read_old).compile(target=target, threads=2)
    for steps in (11, 1, 0):
        found = program.run(x=X[:steps])
        wanted = np.zeros((4, 37, 17), np.float32)
        wanted[:, :steps] = X[:steps].transpose(1, 0, 2)
        np.testing.assert_array_equal(found["cache"], wanted)
        totals = np.cumsum((X[:steps] ** 2).sum((1, 2)))
        if read_old:
            totals = np.concatenate([[0], totals])[:steps]
        np.testing.assert_allclose(found["total"], totals, rtol=1e-5)


def test_nothing_is_copied_where_the_old_value_is_read_no_more() -> None:
    """The kernels of a step: one that writes a row, and one more that copies all others."""
    for read_old in (False, True):
        program = filled(read_old).compile()
        program.run(x=X)
        kernels = [line for line in program.explain().splitlines() if "_put " in line]
        written = [line for line in kernels if "times" in line]
        assert len(written) == (2 if read_old else 1), program.explain()


@pytest.mark.parametrize("target", TARGETS)
def test_a_state_is_written_in_place(target: Target) -> None:
    x, at = dg.observed("x", (4,)), dg.state("at", (), dtype="int32")
    ring = dg.state("ring", (3, 4))
    dg.update(ring, put(ring, at, x))
    dg.update(at, dg.where(at == 2, 0, at + 1))
    program = dg.Diagram("ring", updates=[ring, at]).compile(target=target)
    for row in X[:5, 0, :4]:
        program.step(x=row)
    np.testing.assert_array_equal(program.states["ring"], X[[3, 4, 2], 0, :4])


@pytest.mark.parametrize("target", TARGETS)
def test_rows_one_after_another(target: Target) -> None:
    x, i = dg.observed("x", (5, 3)), dg.observed("i", (2,), dtype="int64")
    y = put(put(x, i[0] + 0, x[1] * 2.0), i[1] + 0, x[i[0]], axis=0)
    program = dg.Diagram("d", {"y": y, "x": x}).compile(target=target)
    value = X[0, :3, :5].T.copy()
    for first, second in ((0, 4), (2, 2), (4, 0)):
        found = program.run(x=value, i=np.array([first, second]))
        wanted = value.copy()
        wanted[first] = value[1] * 2
        wanted[second] = value[first]
        np.testing.assert_array_equal(found["y"], wanted)
        np.testing.assert_array_equal(found["x"], value)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("each", ["x", "row", "index", "all"])
def test_batches(each: str, target: Target) -> None:
    """In a block with weights of each sample, every one of the three may differ between samples."""

    class Put(dg.Block):
        def __init__(self) -> None:
            self.x = dg.parameter("x", (5, 3))
            self.row = dg.parameter("row", (3,))
            self.index = dg.parameter("index", ())

        def forward(self, z: Any) -> Any:
            i = dg.astype(self.index, "int32")
            return put(self.x, i, self.row) + 0.0 * z

    block, z = Put(), dg.observed("z", ("B", 5, 3))
    shapes = {"x": (5, 3), "row": (3,), "index": ()}
    rng = np.random.default_rng(1)
    given, values = {}, {}
    for name, shape in shapes.items():
        many = each in (name, "all")
        given[name] = dg.observed(name, (("B",) if many else ()) + shape)
        values[name] = rng.normal(size=((4,) if many else ()) + shape).astype(np.float32)
    values["index"] = np.array([0, 4, 2, 7] if each in ("index", "all") else 3, np.float32)
    y = dg.bind(block, given)(z)
    found = dg.Diagram("d", {"y": y}).compile(target=target).run(
        z=np.zeros((4, 5, 3), np.float32), **values
    )["y"]  # fmt: skip
    for sample in range(4):
        x, row, index = (
            values[n][sample] if each in (n, "all") else values[n] for n in ("x", "row", "index")
        )
        wanted = x.copy()
        if index < 5:
            wanted[int(index)] = row
        np.testing.assert_array_equal(found[sample], wanted)


def test_mistakes() -> None:
    x, i = dg.observed("x", (5, 3)), dg.observed("i", (), dtype="int32")
    for index, row, axis, kind in (
        (i, dg.observed("r", (4,)), 0, dg.ShapeError),
        (i, dg.observed("r", (3,), "float64"), 0, dg.DtypeError),
        (x[0, 0], dg.observed("r", (3,)), 0, dg.DtypeError),
        (dg.observed("j", (2,), dtype="int32"), dg.observed("r", (3,)), 0, dg.ShapeError),
        (i, dg.observed("r", (3,)), 2, dg.ShapeError),
    ):
        with pytest.raises(kind):
            dg.Diagram("d", {"y": put(x, index, row, axis)})
