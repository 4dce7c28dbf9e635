"""How things are called on a slide: z₁ for the first hidden variable, "x @ w", "net(x, w)".

Text in, text out; nothing here knows a diagram or a graph.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("-+0123456789", "⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹")

# Operations by their names in diagrams and in the compiler's graphs.
INFIX = {
    "add": "+",
    "subtract": "−",
    "sub": "−",
    "multiply": "⊙",
    "mul": "⊙",
    "divide": "/",
    "div": "/",
    "matmul": "@",
    "contract": "@",
    "correlate": "⋆",
    "convolve": "∗",
    "conv": "⋆",
    "conv_input": "⋆ᵀ",
    "conv_transpose": "⋆ᵀ",
    "conv_weight": "⋆",
    "less": "<",
    "lt": "<",
    "less_equal": "≤",
    "le": "≤",
    "greater": ">",
    "gt": ">",
    "greater_equal": "≥",
    "ge": "≥",
    "equal": "=",
    "eq": "=",
    "not_equal": "≠",
    "ne": "≠",
    "logical_and": "and",
    "logical_or": "or",
    "logical_xor": "xor",
    "and": "and",
    "or": "or",
    "xor": "xor",
    "floor_divide": "//",
    "remainder": "mod",
    "bitwise_and": "&",
    "bitwise_or": "|",
    "bitwise_xor": "⊕",
    "bitwise_left_shift": "<<",
    "bitwise_right_shift": ">>",
}
COMMUTING = (
    "add", "multiply", "mul", "equal", "eq", "logical_and", "logical_or", "logical_xor", "and",
    "or", "xor", "bitwise_and", "bitwise_or", "bitwise_xor",
)  # fmt: skip
NAMES = {
    "maximum": "max",
    "minimum": "min",
    "reduce_sum": "sum",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_prod": "product",
    "logical_not": "not",
}
_LONGEST = 22


def subscript(letter: str, number: int) -> str:
    """The letter with a small number below: z₁."""
    return letter + str(number).translate(_SUBSCRIPTS)


def series(letters: Sequence[str], count: int, taken: Collection[str]) -> list[str]:
    """`count` names z₁, z₂ ... of the first letter that makes none that is taken; z for one."""
    names: list[str] = []
    for letter in letters:
        names = [subscript(letter, number) for number in range(1, count + 1)]
        names = [letter] if count == 1 else names
        if not {letter, *names} & set(taken):
            break
    return names


def indexed(name: str, indices: Sequence[str]) -> str:
    """A variable of a loop: "x(t)"; as it is without indices."""
    return f"{name}({', '.join(indices)})" if indices else name


def delayed(steps: int) -> str:
    """A delay of so many steps as in signal processing: "z⁻¹"; "z⁺¹" for one back in time."""
    return "z" + f"{-steps:+d}".translate(_SUPERSCRIPTS)


def shown_name(name: str) -> str:
    """A Python name as on a slide: "cross entropy" for cross_entropy, "x₁" for x1 or x_1."""
    text = " ".join(word for word in name.split("_") if word)
    letters = text.rstrip("0123456789")
    digits = text[len(letters) :]
    if letters.rstrip() and digits:
        return letters.rstrip() + digits.translate(_SUBSCRIPTS)
    return text or name


def number(value: float | int | bool) -> str:
    """A number as short as it can be told: 0.5, −1, 1e-05, ∞."""
    if isinstance(value, (bool, int)):
        text = str(value)
    elif value != value:
        text = "NaN"
    elif value in (float("inf"), float("-inf")):
        text = "∞" if value > 0 else "-∞"
    else:
        text = f"{value:.3g}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def applied(shown: str, arguments: Sequence[str]) -> str:
    """A function and its arguments, in two lines where one would be long: net(x, w)."""
    inner = f"({', '.join(dict.fromkeys(arguments))})" if arguments else ""
    if len(shown) + len(inner) <= 12 or (" " not in shown and len(shown + inner) <= _LONGEST):
        return shown + inner
    return f"{shown}\n{inner}" if inner and len(inner) <= _LONGEST else shown


def operation(name: str, arguments: Sequence[str], fixed: Sequence[bool]) -> str:
    """An operation on arguments, of which some are fixed numbers: "x @ w", "0.5 · z", "+"."""
    some = any(fixed)
    if name == "matmul" and len(arguments) == 2 and max(map(len, arguments)) > 8:
        return "@"
    if name in INFIX and len(arguments) == 2:
        one, other = arguments
        if name in ("multiply", "mul"):
            if one == other:
                return f"{one}²"
            if some:
                return f"{other} · {one}" if fixed[1] else f"{one} · {other}"
        if name in COMMUTING and not some:
            return INFIX[name]
        text = f"{one} {INFIX[name]} {other}"
        return text if len(text) <= _LONGEST else INFIX[name]
    if name in ("power", "pow") and len(arguments) == 2 and fixed[1]:
        exponent = arguments[1].replace("−", "-")
        if exponent.removeprefix("-").isdigit():
            return arguments[0] + exponent.translate(_SUPERSCRIPTS)
    if len(arguments) == 1:
        (only,) = arguments
        if name in ("negative", "neg"):
            return f"−{only}"
        if name == "bitwise_invert":
            return f"~{only}"
        if name in ("absolute", "abs"):
            return f"|{only}|"
        if name == "transpose":
            return f"{only}ᵀ"
        if name == "index":
            return f"{only}[·]"
    if name == "gradient":
        return gradient(arguments)
    return applied(operator_name(name), arguments)


def operator_name(name: str) -> str:
    """What an operation is called, without arguments: "⊙", "max"."""
    return INFIX.get(name) or NAMES.get(name, name.replace("_", " "))


def gradient(arguments: Sequence[str]) -> str:
    """The gradient of the first argument by the others: ∂C/∂x, or ∇C by several."""
    cost, *variables = arguments
    return f"∂{cost}/∂{variables[0]}" if len(variables) == 1 else f"∇{cost}"


def primitive(name: str, fixed: Sequence[str | None], same: bool = False) -> str:
    """A primitive whose arguments have no names: "⊙", "max(·, 0)".

    Args:
        name: the primitive.
        fixed: the known numbers among its arguments.
        same: whether one value is given twice.
    """
    if same and name in ("add", "mul"):
        return "2 ·" if name == "add" else "(·)²"
    symbol = INFIX.get(name)
    known = [text for text in fixed if text is not None]
    if symbol is not None and len(fixed) == 2:
        if not known:
            return symbol
        if name in COMMUTING or fixed[0] is None:
            return f"{'·' if name == 'mul' else symbol} {known[0]}"
        return f"{known[0]} {symbol} ·"
    shown = operator_name(name)
    if known:
        return f"{shown}({', '.join('·' if text is None else text for text in fixed)})"
    return {"neg": "−", "abs": "|·|", "transpose": "ᵀ"}.get(name, shown)
