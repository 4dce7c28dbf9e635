"""The reference names everything that is public, as its docstring has it."""

from .reference import PAGE, page


def test_the_page_is_as_it_would_be_written() -> None:
    """If this fails: `python -m tests.docs.reference`."""
    assert PAGE.read_text(encoding="utf-8") == page()
