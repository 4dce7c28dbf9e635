"""Arguments by names that a function does not have: the error says which one is meant.

One mechanism for all public functions and classes.  It costs a call nothing but the look at the
names of its keywords.  `name=` is given to every block here, whatever its class takes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any, TypeVar, cast

from .location import user_location

F = TypeVar("F", bound=Callable[..., Any])

ELSEWHERE: dict[str, tuple[str, ...]] = {
    "dim": ("axis", "axes", "start"),
    "dims": ("axes", "axis"),
    "axis": ("axes",),
    "axes": ("axis",),
    "dim0": ("first",),
    "dim1": ("second",),
    "keepdim": ("keepdims",),
    "lr": ("learning_rate", "optimizer"),
    "rate": ("learning_rate",),
    "eps": ("epsilon",),
    "beta1": ("betas",),
    "beta2": ("betas",),
    "beta_1": ("betas",),
    "beta_2": ("betas",),
    "alpha": ("decay",),
    "rho": ("decay",),
    "params": ("parameters",),
    "beta": ("momentum",),
    "clipnorm": ("clip",),
    "clipvalue": ("clip",),
    "max_norm": ("clip",),
    "l2": ("weight_decay",),
    "amsgrad": (),
    "input": ("x", "scores", "prediction"),
    "other": ("y",),
    "target": ("target", "targets", "labels"),
    "labels": ("targets", "target"),
    "tensors": ("parts",),
    "arrays": ("parts",),
    "indices": ("index",),
    "mask": ("condition",),
    "num_classes": ("size",),
    "end": ("size",),
    "stop": ("size",),
    "in_features": ("inputs",),
    "out_features": ("outputs",),
    "input_size": ("inputs",),
    "input_dim": ("inputs",),
    "output_dim": ("outputs",),
    "hidden_size": ("hidden",),
    "units": ("outputs", "hidden"),
    "num_layers": ("layers",),
    "use_bias": ("bias",),
    "num_embeddings": ("symbols",),
    "embedding_dim": ("width",),
    "activation": ("nonlinearity",),
    "embed_dim": ("features",),
    "d_model": ("features",),
    "num_heads": ("heads",),
    "nhead": ("heads",),
    "dim_feedforward": ("hidden",),
    "num_encoder_layers": ("encoder_layers",),
    "num_decoder_layers": ("decoder_layers",),
    "layer_norm_eps": ("epsilon",),
    "pre_norm": ("norm_first",),
    "src_mask": ("mask",),
    "tgt_mask": ("target_mask", "mask"),
    "src_key_padding_mask": ("lengths",),
    "tgt_key_padding_mask": ("target_lengths", "lengths"),
    "memory_key_padding_mask": ("memory_lengths", "lengths"),
    "padding_idx": ("padding",),
    "kdim": ("key_features",),
    "vdim": ("value_features",),
    "attn_mask": ("mask",),
    "is_causal": ("causal",),
    "key_padding_mask": ("lengths",),
    "kernel_initializer": ("weight_init",),
    "bias_initializer": ("bias_init",),
    "initializer": ("init",),
    "kernel_size": ("kernel", "size"),
    "pool_size": ("size",),
    "output_size": ("size",),
    "norm_type": ("p",),
    "negative_slope": ("slope",),
    "lambd": ("threshold",),
    "start_dim": ("start",),
    "loss": ("cost",),
    "optim": ("optimizer",),
    "learning_rate": ("optimizer",),
    "metrics": ("outputs",),
    "inputs": ("in_channels", "data"),
    "value": ("init", "value"),
    "batch": ("batch_size",),
    "n_epochs": ("epochs",),
    "num_epochs": ("epochs",),
    "validation_split": ("validation",),
    "validation_data": ("validation",),
    "callbacks": ("early_stopping", "checkpoint"),
    "verbose": ("progress",),
    "high": (),
    "transform": ("augment",),
    "padding_mode": ("mode",),
    "fill_value": ("fill", "value"),
    "probability": ("p",),
    "input_lengths": ("lengths",),
    "target_lengths": ("target_lengths", "label_lengths"),
    "log_target": ("log_targets",),
    "var": ("variance",),
    "tau": ("temperature",),
    "min_val": ("low",),
    "max_val": ("high",),
    "upscale_factor": ("factor",),
    "downscale_factor": ("factor",),
    "in1_features": ("first",),
    "in2_features": ("second",),
    "num_parameters": ("channels",),
}
"""What other libraries call an argument, and what it may be called here."""

NEEDLESS = {
    "device": "leave it out, a program runs on the processor",
    "requires_grad": "leave it out, dg.gradient takes any variable",
    "inplace": "leave it out, a variable never changes",
    "out": "leave it out, and use what is returned",
}
"""Arguments that other libraries have, and that nothing here needs."""


def guarded(function: F, label: str | None = None) -> F:
    """The function itself, but for the error where a keyword is not one of its own."""
    known, takes_all = _keywords(function)
    if takes_all or not isinstance(function, FunctionType):  # classes have `with_name`
        return function
    shown = label or str(getattr(function, "__name__", "function"))

    @functools.wraps(function)
    def call(*given: Any, **options: Any) -> Any:
        if options and not known.keys() >= options.keys():
            raise wrong_keyword(shown, known, options)
        return function(*given, **options)

    return cast("F", call)


def wrong_keyword(label: str, known: Iterable[str], options: Iterable[str]) -> TypeError:
    """The error for the first of these keywords that is not among the known ones."""
    known = [word for word in known if word not in ("self", "cls")]
    word = next(item for item in options if item not in known)
    meant = [item for item in ELSEWHERE.get(word, ()) if item in known]
    if not meant and word not in ELSEWHERE:
        from difflib import get_close_matches  # Not for `import diagrad`.

        meant = get_close_matches(word, known, 1)
    remedy = f": use {meant[0]}=" if meant else f": {NEEDLESS[word]}" if word in NEEDLESS else ""
    return TypeError(
        f"{label} ({user_location()}) expects the arguments {', '.join(known) or '(none)'}, got "
        f"{word}={remedy}"
    )


def with_name(init: F) -> F:
    """The `__init__` of a class of blocks; `name=` is for every block, whether it takes it or not.

    It is set before `init` runs, for its messages, and once more after it.
    """
    known, takes_all = _keywords(init)

    @functools.wraps(init)
    def construct(self: Any, *given: Any, **options: Any) -> None:
        if type(self).__init__ is not construct:  # called by the class below
            init(self, *given, **options)
            return
        name = options.get("name")
        own = "name" in known or takes_all
        if not own:
            options.pop("name", None)
        if not (takes_all or known.keys() >= options.keys()):
            raise wrong_keyword(type(self).__name__, dict.fromkeys([*known, "name"]), options)
        if name is None:
            init(self, *given, **options)
            return
        if not isinstance(name, str) or not name:
            raise TypeError(
                f"{type(self).__name__} ({user_location()}) expects a name that is a text, got "
                f"{name!r}"
            )
        object.__setattr__(self, "name", name)
        init(self, *given, **options)
        if not own or self.name is None:
            object.__setattr__(self, "name", name)

    return cast("F", construct)


def expect_call(label: str, function: Callable[..., Any], given: Any, options: Any) -> None:
    """TypeError unless a function that is drawn as one bullet can be called in this way."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # of a function that is not written in Python
        return
    try:
        signature.bind(*given, **options)
    except TypeError as error:
        expect_keywords(label, function, options)
        subject = f"{label} ({user_location()})"
        words = ", ".join(signature.parameters) or "nothing"
        if given or options:
            raise TypeError(
                f"{subject} expects {words}, got {_count(len(given) + len(options))}: {error}"
            ) from None
        raise TypeError(
            f"{subject} expects {words}, got nothing: where a block is expected, give the function "
            f"itself, {label}, or lambda x: {label}(x, ...) with options"
        ) from None


def expect_keywords(label: str, function: Any, options: Mapping[str, Any]) -> None:
    """TypeError unless a function has all of these keywords."""
    known, takes_all = _keywords(function)
    if not takes_all and not known.keys() >= options.keys():
        raise wrong_keyword(label, known, options) from None


def _count(number: int) -> str:
    return f"{number} argument{'s' if number != 1 else ''}"


def _keywords(function: Callable[..., Any]) -> tuple[dict[str, None], bool]:
    """The keywords that a function takes, in their order, and whether it takes any."""
    if not isinstance(function, FunctionType):
        return {}, True
    while (inner := function.__dict__.get("__wrapped__")) is not None:
        function = inner
    code = function.__code__
    names = code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
    return dict.fromkeys(names), bool(code.co_flags & inspect.CO_VARKEYWORDS)
