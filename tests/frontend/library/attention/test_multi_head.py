"""MultiHeadAttention: against PyTorch, its weights in and out, what follows from its definition."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diagrad as dg

from ...evaluating import TARGETS, Target, assert_close, text
from .uses import CLOSE, check_bound, check_copies_and_files, check_loop, outputs_for, randomise

KINDS: dict[str, dict[str, Any]] = {
    "self": {},
    "causal": {"causal": True},
    "bare": {"bias": False},
    "cross": {"cross": True},
    "widths": {"cross": True, "key_features": 5, "value_features": 3},
    "one head": {"heads": 1},
    "lengths": {"lengths": True},
    "mask": {"mask": "bool"},
    "masks": {"mask": "heads"},
    "float mask": {"mask": "float"},
}
SIZES = [(3, 5, 4), (1, 1, 1), (2, 1, 7), (1, 11, 1)]  # B, Tq, Tk


class Case:
    """A block, PyTorch's, and what they are applied to."""

    def __init__(self, torch: Any, options: dict[str, Any], dtype: str) -> None:
        options = {"heads": 2} | options
        self.cross = options.pop("cross", False)
        self.lengths, self.mask = options.pop("lengths", False), options.pop("mask", None)
        self.heads, self.causal = options["heads"], options.get("causal", False)
        self.ours = dg.MultiHeadAttention(6, **options, dtype=dtype, name="net")
        names = {"key_features": "kdim", "value_features": "vdim"}
        theirs = {names.get(k, k): v for k, v in options.items() if k not in ("heads", "causal")}
        torch.manual_seed(0)
        self.theirs = torch.nn.MultiheadAttention(6, self.heads, batch_first=True, **theirs)
        self.theirs = self.theirs.to(getattr(torch, dtype))
        for item in self.theirs.parameters():
            torch.nn.init.normal_(item, std=0.5)
        self.dtype = dtype

    def arrays(self, samples: int, queries: int, keys: int) -> dict[str, Any]:
        rng = np.random.default_rng(keys)
        keys = keys if self.cross else queries
        found: dict[str, Any] = {"query": rng.normal(size=(samples, queries, 6))}
        if self.cross:
            found["key"] = rng.normal(size=(samples, keys, self.ours.key_features))
            found["value"] = rng.normal(size=(samples, keys, self.ours.value_features))
        if self.mask == "float":
            found["mask"] = rng.normal(size=(queries, keys))
        found = {name: item.astype(self.dtype) for name, item in found.items()}
        if self.mask in ("bool", "heads"):
            heads = (self.heads,) if self.mask == "heads" else ()
            found["mask"] = rng.random((samples, *heads, queries, keys)) > 0.4
            found["mask"][..., 0] = True
        if self.lengths:
            found["lengths"] = rng.integers(1, keys + 1, samples).astype(np.int32)
        return found

    def of_torch(self, torch: Any, arrays: dict[str, Any]) -> tuple[Any, list[Any]]:
        """Its value, and the gradient of the sum of squares for inputs and parameters."""
        x = {name: torch.tensor(item) for name, item in arrays.items()}
        inputs = [x[name].requires_grad_() for name in ("query", "key", "value") if name in x]
        query, key, value = inputs if self.cross else inputs * 3
        samples, queries, keys = len(query), query.shape[1], key.shape[1]
        mask = torch.zeros(queries, keys, dtype=query.dtype)
        if self.causal:
            mask = ~torch.tensor(np.tri(queries, keys, dtype=bool))
        elif self.mask == "float":
            mask = x["mask"]
        elif self.mask:
            each = x["mask"] if self.mask == "heads" else x["mask"][:, None]
            mask = ~each.expand(samples, self.heads, queries, keys).flatten(0, 1)
        hidden = None
        if self.lengths:
            hidden = torch.arange(keys) >= x["lengths"][:, None]
            mask = None
        y, _ = self.theirs(query, key, value, attn_mask=mask, key_padding_mask=hidden)
        return y, list(torch.autograd.grad((y * y).sum(), [*inputs, *self.theirs.parameters()]))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_pytorchs(kind: str, target: Target) -> None:
    torch = pytest.importorskip("torch")
    dtype = "float32" if kind == "self" else "float64"
    case = Case(torch, KINDS[kind], dtype)
    # A bias of keys changes nothing: what its gradient has is rounding, in PyTorch too.
    tolerance = (2e-4, 2e-4) if dtype == "float32" else (1e-10, 1e-11)
    for sizes in SIZES:
        arrays = case.arrays(*sizes)
        x = {name: dg.observed(name, a.shape, a.dtype) for name, a in arrays.items()}
        y = case.ours(**x)
        leaves = {k: v for k, v in x.items() if k in ("query", "key", "value")}
        slopes = dg.gradient(dg.sum(y * y), {**leaves, **case.ours.parameters()})
        outputs = {"y": y} | {k.replace("/", "_"): v for k, v in slopes.items()}
        program = dg.Diagram("test", outputs).compile(target=target)
        case.ours.load_torch(program, case.theirs.state_dict())
        value, wanted = case.of_torch(torch, arrays)
        found = program.run(**arrays)
        assert_close(found["y"], value.detach().numpy(), *tolerance)
        for name, slope in zip(leaves, wanted, strict=False):
            assert_close(found[name], slope.numpy(), *tolerance)
        named = [name for name, _ in case.theirs.named_parameters()]
        for name, slope in zip(named, wanted[len(leaves) :], strict=True):
            assert_close(theirs_from(found, name), slope.numpy(), *tolerance)


def theirs_from(found: dict[str, Any], name: str) -> Any:
    """A gradient in PyTorch's layout, written out apart from what the block does itself."""
    ways = ("query", "key", "value")
    if name == "in_proj_weight":
        return np.vstack([found[f"{way}_weight"].T for way in ways])
    if name == "in_proj_bias":
        return np.hstack([found[f"{way}_bias"] for way in ways])
    if name.endswith("_proj_weight"):
        return found[{"q": "query", "k": "key", "v": "value"}[name[0]] + "_weight"].T
    return found["output_bias"] if name == "out_proj.bias" else found["output_weight"].T


@pytest.mark.parametrize("kind", ["bare", "self", "widths"])
def test_weights_out_and_in_again(kind: str) -> None:
    torch = pytest.importorskip("torch")
    case = Case(torch, KINDS[kind], "float32")
    wanted = {name: item.numpy() for name, item in case.theirs.state_dict().items()}
    assert case.ours.parameter_count == sum(item.size for item in wanted.values())
    arrays = case.arrays(2, 3, 4)
    x = [dg.observed(name, a.shape, a.dtype) for name, a in arrays.items()]
    program = dg.Diagram("test", case.ours(*x)).compile(target="reference")
    case.ours.load_torch(program, {f"a.{k}": v for k, v in wanted.items()} | {"b": 0}, "a.")
    found = case.ours.torch_weights(program)
    assert [*found] == [*wanted]
    for name, item in wanted.items():
        assert_close(found[name], item, 0.0, 0.0)
    case.theirs.load_state_dict({name: torch.tensor(item) for name, item in found.items()})
    with pytest.raises(dg.InputError) as error:
        case.ours.load_torch(program, {k: v for k, v in wanted.items() if "out_proj" not in k})
    assert text(error.value).startswith(
        "load_torch of MultiHeadAttention 'net' (m.py:1) lacks out_proj.weight"
    )


def test_the_base_model_has_as_many_parameters_as_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.MultiheadAttention(512, 8)
    assert dg.MultiHeadAttention(512, 8).parameter_count == 1050624
    assert sum(item.numel() for item in theirs.parameters()) == 1050624


@pytest.mark.parametrize("target", TARGETS)
def test_the_weights_are_pytorchs(target: Target) -> None:
    torch = pytest.importorskip("torch")
    case = Case(torch, {"cross": True}, "float64")
    arrays = case.arrays(2, 3, 4)
    query, key = (dg.observed(n, arrays[n].shape, "float64") for n in ("query", "key"))
    lengths = [1, 4]
    outputs = {
        "weights": case.ours.weights(query, key, lengths=lengths),
        "y": case.ours(query, key, lengths=lengths),
    }
    program = dg.Diagram("test", outputs).compile(target=target)
    case.ours.load_torch(program, case.theirs.state_dict())
    q, k = (torch.tensor(arrays[name]) for name in ("query", "key"))
    hidden = torch.arange(4) >= torch.tensor(lengths)[:, None]
    wanted = case.theirs(q, k, k, key_padding_mask=hidden, average_attn_weights=False)
    found = program.run(query=arrays["query"], key=arrays["key"])
    assert_close(found["y"], wanted[0].detach().numpy(), 1e-10, 1e-11)
    assert_close(found["weights"], wanted[1].detach().numpy(), 1e-10, 1e-11)


def test_it_follows_the_order_of_the_queries_and_not_that_of_the_keys() -> None:
    rng = np.random.default_rng(0)
    x, memory = rng.normal(size=(2, 5, 6)), rng.normal(size=(2, 7, 6))
    block = dg.MultiHeadAttention(6, 3, dtype="float64")
    order, others = rng.permutation(5), rng.permutation(7)
    y = outputs_for(block, x)
    assert_close(outputs_for(block, x[:, order]), y[:, order], *CLOSE)
    across = outputs_for(block, x, memory)
    assert_close(outputs_for(block, x, memory[:, others]), across, *CLOSE)
    causal = dg.MultiHeadAttention(6, 3, causal=True, dtype="float64")
    assert not np.allclose(outputs_for(causal, x[:, order]), outputs_for(causal, x)[:, order])


def test_a_causal_block_does_not_look_ahead() -> None:
    block = dg.MultiHeadAttention(6, 2, causal=True, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 5, 6))
    assert_close(outputs_for(block, x[:, :3]), outputs_for(block, x)[:, :3], *CLOSE)


@pytest.mark.parametrize("target", TARGETS)
def test_a_step_with_the_keys_before_it_is_a_row_of_the_whole(target: Target) -> None:
    class Steps(dg.Block):
        """One query after another, as generation has them."""

        def __init__(self) -> None:
            self.inner = dg.MultiHeadAttention(6, 2, causal=True, dtype="float64")

        def forward(self, x: Any) -> Any:
            k, v = self.inner.project_key(x), self.inner.project_value(x)
            rows = []
            for i in range(5):
                q = self.inner.project_query(x[:, i : i + 1])
                rows.append(self.inner.attend(q, k, v, lengths=[i + 1, i + 1]))
            return dg.concatenate(rows, axis=1) - self.inner(x)

    x = np.random.default_rng(0).normal(size=(2, 5, 6))
    assert_close(outputs_for(Steps(), x, target=target), np.zeros((2, 5, 6)), atol=1e-12)


def test_dropout_leaves_out_weights_in_a_step_alone() -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 6))
    kept, dropped = (
        dg.MultiHeadAttention(6, 2, dropout=p, dtype="float64", name="net") for p in (0.0, 0.4)
    )
    assert_close(outputs_for(dropped, x), outputs_for(kept, x), *CLOSE)
    # With values of 1 and outputs that add up a head's features, what is left of the weights shows.
    block = dg.MultiHeadAttention(4, 1, dropout=0.4)
    shown = dg.state("shown", (200, 5, 4))
    inputs = dg.observed("x", (200, 5, 4))
    y = block(inputs)
    dg.update(shown, y)
    program = dg.Diagram("test", cost=dg.mean(y)).compile(optimizer=dg.SGD(0.0), target="reference")
    for name, array in program.parameters.items():
        program.parameters[name] = np.zeros_like(array)
    program.parameters["multi_head_attention/value/bias"] = np.ones(4)
    program.parameters["multi_head_attention/output/weight"] = np.eye(4)
    program.step(x=np.zeros((200, 5, 4), np.float32))
    left = program.states["shown"][..., 0] * 5 * 0.6  # how many of 5 weights are left
    assert_close(left, np.round(left), atol=1e-5)
    assert 2.85 < left.mean() < 3.15
    assert {*np.round(left).ravel()} == {0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_to_see_gives_the_outputs_bias(target: Target) -> None:
    block = dg.MultiHeadAttention(6, 2, dtype="float64", name="net")
    x = dg.observed("x", (2, 3, 6), "float64")
    y = block(x, lengths=[0, 2])
    slope = dg.gradient(dg.sum(y * y), x)
    program = dg.Diagram("test", {"y": y, "slope": slope}).compile(target=target)
    randomise(program)
    found = program.run(x=np.random.default_rng(0).normal(size=(2, 3, 6)))
    bias = program.parameters["net/output/bias"]
    assert_close(found["y"][0], np.broadcast_to(bias, (3, 6)))
    assert (found["slope"][0] == 0).all()
    assert np.isfinite(found["slope"]).all()


@pytest.mark.parametrize("target", TARGETS)
def test_in_a_loop_and_with_weights_for_each_sample(target: Target) -> None:
    block = dg.MultiHeadAttention(6, 2, causal=True, dtype="float64")
    check_loop(block, target)
    check_bound(block, target)


def test_copies_and_files(tmp_path: Path) -> None:
    check_copies_and_files(dg.MultiHeadAttention(6, 2, dtype="float64"), tmp_path)


def test_other_leading_axes() -> None:
    block = dg.MultiHeadAttention(6, 2, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6))
    whole = outputs_for(block, x)
    assert_close(whole[1, 2], outputs_for(block, x[1, 2]), *CLOSE)
    assert_close(whole[1], outputs_for(block, x[1]), *CLOSE)
    assert outputs_for(block, np.zeros((0, 3, 6))).shape == (0, 3, 6)
    assert outputs_for(block, np.zeros((2, 0, 6))).shape == (2, 0, 6)


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="features") as error:
        dg.MultiHeadAttention(6, 4)
    assert text(error.value) == (
        "MultiHeadAttention (m.py:1) expects features to be a multiple of its 4 heads, got 6"
    )
    with pytest.raises(ValueError, match="dropout to be a number of 0 or more and of 1 or less"):
        dg.MultiHeadAttention(6, 2, dropout=1.5)
    with pytest.raises(TypeError, match="got num_heads=: use heads="):
        dg.MultiHeadAttention(6, num_heads=2)  # type: ignore[call-arg]
    net = dg.MultiHeadAttention(6, 2, key_features=5, name="net")

    def message(*shapes: tuple[int, ...]) -> str:
        x = [dg.observed(name, shape) for name, shape in zip("qkv", shapes, strict=False)]
        with pytest.raises(dg.DiagramError) as error:
            dg.Diagram("test", net(*x))
        return text(error.value)

    assert "expects a key of shape (..., T, 5), got (5,) from observed 'k'" in message((3, 6), (5,))
    assert "Linear 'net/key'" in message((3, 6))
    assert "expects 5 features, got 6 from observed 'q'" in message((3, 6))
    assert "its queries (2, 2, 3, 3), got (3, 2, 4, 3)" in message((2, 3, 6), (3, 4, 5), (3, 4, 6))
