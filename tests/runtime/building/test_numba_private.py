"""The private names of Numba: read this failure first when a new version of Numba breaks things."""

import pytest

from diagrad.runtime.building import numba_private


def test_numba_still_has_the_private_names() -> None:
    assert numba_private.missing() == [], (
        "Numba moved names that runtime/building/numba_private.py uses"
    )


def test_a_name_that_moved_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(numba_private.NAMES, "numba.core.compiler", ("Flags", "Gone"))
    monkeypatch.setitem(numba_private.NAMES, "numba.core.nowhere", ("Lower",))
    assert numba_private.missing() == ["numba.core.compiler.Gone", "numba.core.nowhere"]
