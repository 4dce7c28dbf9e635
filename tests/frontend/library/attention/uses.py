"""What every block of attention is put through: loops, weights of each sample, copies, files."""

import copy
from pathlib import Path
from typing import Any

import numpy as np

import diagrad as dg

from ...evaluating import Target, assert_close

CLOSE = (1e-9, 1e-10)


def randomise(program: dg.Program, seed: int = 5) -> None:
    """Random numbers in all parameters, biases too."""
    rng = np.random.default_rng(seed)
    for name, array in program.parameters.items():
        program.parameters[name] = rng.normal(size=array.shape) / 2


def check_loop(block: Any, target: Target) -> None:
    """A block of float64 upon (B, T, 6) at each step of a loop, and the gradient through it."""
    x = dg.observed("x", (3, 2, 5, 6), "float64")
    t = dg.loop("t")
    z = t.delay("z", dg.fill(0.0, (2, 5, 6), "float64"))
    following = block(t.each(x) + z)
    t.close(z, following)
    looped = t.last(following)
    state: Any = 0.0
    for step in range(3):
        state = block(x[step] + state)
    outputs = {}
    for name, value in (("looped", looped), ("plain", state)):
        outputs[name] = value
        free = [x, *block.parameters().values()]
        for i, slope in enumerate(dg.gradient(dg.sum(value * value), free)):
            outputs[f"{name}{i}"] = slope
    program = dg.Diagram("test", outputs).compile(target=target)
    randomise(program)
    found = program.run(x=np.random.default_rng(0).normal(size=(3, 2, 5, 6)))
    for name in [name for name in found if name.startswith("looped")]:
        assert_close(found[name], found[name.replace("looped", "plain")], *CLOSE)


def check_bound(block: Any, target: Target) -> None:
    """One set of weights for each sample: as if each were run with its own."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3, block.parameter_count)) / 2
    x = rng.normal(size=(3, 4, 6))
    weights = dg.observed("w", w.shape, "float64")
    y = dg.bind(block, weights)(dg.observed("x", x.shape, "float64"))
    slope = dg.gradient(dg.sum(y * y), weights)
    bound = dg.Diagram("test", {"y": y, "slope": slope}).compile(target=target)
    found = bound.run(w=w, x=x)
    y = block(dg.observed("x", (1, 4, 6), "float64"))
    slopes = dg.gradient(dg.sum(y * y), block.parameters())
    outputs = {"y": y, "slope": block.flatten(slopes)}
    alone = dg.Diagram("test", outputs).compile(target=target)
    for sample in range(3):
        for name, value in block.unflatten(w[sample]).items():
            alone.parameters[alone.diagram.names[block.parameters()[name]]] = value
        wanted = alone.run(x=x[sample : sample + 1])
        assert_close(found["y"][sample], wanted["y"][0], *CLOSE)
        assert_close(found["slope"][sample], wanted["slope"], *CLOSE)


def check_copies_and_files(block: Any, path: Path) -> None:
    """A copy has parameters of its own; what is saved comes back."""
    twin = copy.deepcopy(block)
    assert [*twin.parameters()] == [*block.parameters()]
    assert not {*map(id, twin.parameters().values())} & {*map(id, block.parameters().values())}
    x = np.random.default_rng(1).normal(size=(2, 4, 6))
    programs = [
        dg.Diagram("test", {"y": item(dg.observed("x", x.shape, "float64"))}).compile(
            target="reference"
        )
        for item in (block, twin)
    ]
    randomise(programs[0])
    programs[0].save(path / "weights")
    programs[1].load(path / "weights")
    first, second = (program.run(x=x)["y"] for program in programs)
    assert_close(first, second, 0.0, 0.0)


def outputs_for(block: Any, *arrays: Any, target: Target = "reference", **options: Any) -> Any:
    """What a block gives, with random parameters."""
    x = [dg.observed(f"x{i}", item.shape, item.dtype) for i, item in enumerate(arrays)]
    program = dg.Diagram("test", {"y": block(*x, **options)}).compile(target=target)
    randomise(program)
    return program.run(**{f"x{i}": item for i, item in enumerate(arrays)})["y"]


def compare(
    torch: Any,
    ours: Any,
    theirs: Any,
    arrays: list[Any],
    options: dict[str, Any],
    wanted: dict[str, Any],
    target: Target,
) -> None:
    """Value, gradients for inputs and all parameters, and weights out again, beside PyTorch's.

    `options` and `wanted` are what the two are applied with besides the arrays.
    """
    for item in theirs.parameters():
        torch.nn.init.normal_(item, std=0.5)
    theirs.zero_grad()
    dtype = arrays[0].dtype
    tolerance = (5e-4, 5e-4) if dtype == np.float32 else (1e-9, 1e-10)
    x = [dg.observed(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
    y = ours(*x, **options)
    scale = np.random.default_rng(9).normal(size=y.shape).astype(dtype)
    slopes = dg.gradient(dg.sum(y * scale), [*x, *ours.parameters().values()])
    outputs = {"y": y} | {f"g{i}": item for i, item in enumerate(slopes)}
    program = dg.Diagram("test", outputs).compile(target=target)
    state = theirs.state_dict()
    ours.load_torch(program, state)
    found = program.run(**{f"x{i}": a for i, a in enumerate(arrays)})
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    value = theirs(*tensors, **wanted)
    (value * torch.tensor(scale)).sum().backward()
    assert_close(found["y"], value.detach().numpy(), *tolerance)
    for i, tensor in enumerate(tensors):
        assert_close(found[f"g{i}"], tensor.grad.numpy(), *tolerance)
    for i, item in enumerate(ours.parameters().values(), len(arrays)):
        program.parameters[program.diagram.names[item]] = found[f"g{i}"]
    gradients = ours.torch_weights(program)  # the same way round as the weights themselves
    assert [*gradients] == [*state]
    for name, item in theirs.named_parameters():
        assert_close(gradients[name], item.grad.numpy(), *tolerance)
