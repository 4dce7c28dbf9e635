"""Nothing is missing from the table by accident: no public operation, no primitive, no rule."""

from dataclasses import replace
from typing import Any

import pytest

import diagrad as dg
from diagrad.compiler.graph import topological
from diagrad.compiler.graphs import reverse
from diagrad.compiler.passes.inline import inline
from diagrad.compiler.passes.materialise import materialise
from diagrad.compiler.pipeline import prepare
from diagrad.compiler.primitives.record import PRIMITIVES, Primitive

from .rows.running import Batch, applications, value_alone
from .rows.table import TABLE
from .test_derivatives import each

NO_OPERATIONS = {
    "bind", "block", "clip_norm", "clip_value", "connect", "constant", "conv_shape", "cost",
    "evaluate", "find_rate", "fit",
    "freeze", "generate", "gradient", "gradient_flow", "gradient_propagation", "jacobian", "l1",
    "load_state", "load_torch", "loop", "observed", "parameter", "pool_shape", "probes",
    "save_state", "state",
    "targets", "torch_weights", "training", "unfreeze",
    "transform_step", "tie", "update", "variable", "wfsm",
}  # fmt: skip
"""Public functions that draw, train or transform instead of computing an elementwise value."""

NO_REFERENCE = {"input", "call", "gradient", "loop"}
"""Primitives without a NumPy rule: given, gone before, or, for a loop, run by the tape itself."""

NOT_DRAWN = {
    "call", "overlap_add", "conv_weight", "block_sum", "stretch_sum", "scatter_sums",
    "log_product_left", "log_product_right",
    "attention_log_sums", "attention_query", "attention_key", "attention_value",
}  # fmt: skip
"""Primitives that no operation alone is drawn with: blocks, derivatives, long sums."""

NO_DERIVATIVE = {
    "input", "constant", "size", "iota", "random_bits",  # from nothing
    "and", "or", "xor", "not", "shift_left", "shift_right", "eq", "ne", "lt", "le", "gt", "ge",
    "argmax", "argmin", "argsort", "max_code",  # no floats
    "sign", "floor", "ceil",  # zero
    "stop_gradient",  # its purpose
    "in_range", "first_outside", "call", "gradient",  # integers, gone before
    "block_sum", "stretch_sum", "scatter_sums",  # made by a pass after `differentiate`
    "loop",  # `loop_gradient`, for all of its results together
}  # fmt: skip

NOT_DIFFERENTIATED = {"copy"}
"""Primitives that have a derivative rule and are made by a pass after `differentiate`."""

DTYPES = ("float64", "int32", "bool")


def test_every_public_operation_is_in_the_table() -> None:
    public = {
        name
        for name in dg.__all__
        if callable(getattr(dg, name)) and not isinstance(getattr(dg, name), type)
    }
    found = {row.public for rows in TABLE.values() for row in rows}
    assert found - {"getitem", "put"} == public - NO_OPERATIONS  # no public names


def test_every_row_has_its_own_name() -> None:
    names = [row.name for rows in TABLE.values() for row in rows]
    assert len(set(names)) == len(names)


def test_every_primitive_is_drawn() -> None:
    found: set[str] = set()
    for rows in TABLE.values():
        for dtype in DTYPES:
            cases = applications(rows, dtype)
            if cases:
                batch = Batch(cases, value_alone)
                graph = inline(dg.Diagram("all", batch.outputs).lower())
                ready = prepare(graph)
                for stage in (graph, ready, materialise(ready)):
                    found |= {node.op for node in topological(stage.roots)}
    assert found == set(PRIMITIVES) - NOT_DRAWN


def test_every_derivative_rule_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[str] = set()

    def lookup(name: str) -> Primitive:
        record = PRIMITIVES[name]
        rule = record.vjp

        def noted(*inputs: Any) -> Any:
            used.add(name)
            assert rule is not None
            return rule(*inputs)

        return record if rule is None else replace(record, vjp=noted)

    monkeypatch.setattr(reverse, "lookup", lookup)
    for rows in TABLE.values():
        cases = applications(rows, "float64", smooth=True)
        if cases:
            prepare(dg.Diagram("all", Batch(cases, each).outputs).lower())
    assert used | NOT_DIFFERENTIATED == {name for name, p in PRIMITIVES.items() if p.vjp}


def test_every_primitive_has_its_rules() -> None:
    for name, primitive in PRIMITIVES.items():
        assert primitive.name == name
        assert (primitive.reference is None) == (name in NO_REFERENCE), name
        assert (primitive.vjp is None) == (name in NO_DERIVATIVE), name
        assert (primitive.emit is not None) == (primitive.kind == "elementwise"), name
