"""Every public call with garbage in each of its arguments: it works, or says what it expects."""

import functools
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import diagrad as dg

from .garbage import arguments, call, callables, garbage, methods

FINE = (dg.DiagradError, TypeError, ValueError, OSError)
SECONDS = 20
"""A call that takes longer works on something that it should have refused."""


class SlowError(BaseException):
    """Nothing of a program catches it."""


@pytest.fixture(autouse=True)
def quiet_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files that a call writes lie in a folder of their own; no call may hang."""
    monkeypatch.chdir(tmp_path)

    def stop(number: int, frame: FrameType | None) -> None:
        raise SlowError

    before = signal.signal(signal.SIGALRM, stop) if hasattr(signal, "SIGALRM") else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.DiagramWarning)
        yield
    if before is not None:
        signal.signal(signal.SIGALRM, before)


def mistakes(result: Any) -> list[str]:
    """What is wrong with variables that carry a mistake."""
    if isinstance(result, (list, tuple)):
        return [text for item in result for text in mistakes(item)]
    return [str(item) for item in result.mistakes] if isinstance(result, dg.Variable) else []


def told(name: str, work: Callable[[], Any]) -> str:
    """What is wrong with how a call goes wrong; nothing if it is all right."""
    if hasattr(signal, "alarm"):
        signal.alarm(SECONDS)
    try:
        texts = mistakes(work())
    except FINE as error:
        texts = [str(error)]
    except (Exception, SlowError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        if hasattr(signal, "alarm"):
            signal.alarm(0)
    for text in texts:
        said = " expects ", " expected ", " cannot ", "No such file"
        if not any(word in f" {text}" for word in said):
            return f"says: {text}"
        if ".py:" not in text and not any(word in text for word in (name, " of '", "draw into")):
            return f"names no place: {text}"
    return ""


ALL = [(name, item, arguments(name, item)) for name, item in callables()]


@pytest.mark.parametrize(("name", "item", "makes"), ALL, ids=[name for name, *_ in ALL])
def test_functions_and_classes(
    name: str, item: Callable[..., Any], makes: dict[str, Callable[[], Any]]
) -> None:
    assert not mistakes(call(item, {key: make() for key, make in makes.items()}))
    found = wrong_answers(name, item, makes)
    assert not found, "\n".join(found)
    assert os.listdir() in ([], ["zzz"])


def test_methods() -> None:
    found: list[str] = []
    for name, item, makes in methods():
        if name != "load":  # of a file that is not there
            assert not mistakes(call(item, {key: make() for key, make in makes.items()})), name
        found += wrong_answers(name, item, makes)
    assert not found, "\n".join(found)


def wrong_answers(
    name: str, item: Callable[..., Any], makes: dict[str, Callable[[], Any]]
) -> list[str]:
    """What is wrong where each argument in turn is replaced by each piece of garbage."""
    wrong = []
    for place in makes:
        for kind, value in garbage().items():
            values = {key: make() for key, make in makes.items()} | {place: value}
            found = told(name, functools.partial(call, item, values))
            if found:
                wrong.append(f"{name}({place}={kind}) {found}")
    return wrong
