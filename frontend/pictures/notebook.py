"""What a notebook shows of a diagram or a picture: the drawing, and its text beside it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..errors import LayoutError
from ..location import warn_user
from .export import to_svg
from .picture import Picture

_SVG, _TEXT = "image/svg+xml", "text/plain"


def mimebundle(
    text: str,
    picture: Callable[[], Picture],
    include: Collection[str] | None,
    exclude: Collection[str] | None,
) -> dict[str, str]:
    """The forms to show, by MIME type, for IPython's `_repr_mimebundle_`.

    Where no drawing can be laid out there is a warning of one line, and the text alone.

    Args:
        text: what is shown where there are no pictures.
        picture: gives the picture, if one is asked for.
        include: the MIME types that are asked for; all if there are none.
        exclude: the MIME types that are not to be given.
    """
    wanted = [
        kind
        for kind in (_TEXT, _SVG)
        if (not include or kind in include) and kind not in (exclude or ())
    ]
    bundle = {_TEXT: text} if _TEXT in wanted else {}
    if _SVG in wanted:
        try:
            # Within a page there is no XML declaration.
            bundle[_SVG] = to_svg(picture()).partition("\n")[2]
        except LayoutError as error:
            warn_user(f"shown without its picture: {' '.join(str(error).split())}", UserWarning)
    return bundle


def _bundle_of_picture(
    self: Picture, include: Collection[str] | None = None, exclude: Collection[str] | None = None
) -> dict[str, str]:
    """The picture as a notebook shows it."""
    return mimebundle(repr(self), lambda: self, include, exclude)


Picture._repr_mimebundle_ = _bundle_of_picture
