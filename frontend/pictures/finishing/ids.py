"""Ids that are a picture's own, so that several SVGs can stand in one page of HTML.

A page has one space of names for all that is inlined in it. Changes ids and what refers to them,
and nothing else.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from hashlib import sha256

_LINK = re.compile(r"url\(#([^)]*)\)")


def own_ids(root: ElementTree.Element) -> None:
    """Put a word made of the drawing itself before every id of `root`: the same each time.

    Only the same drawing has the same ids, and then they mean the same.
    """
    digest = sha256(ElementTree.tostring(root)).hexdigest()
    prefix = f"p{digest[:8]}-"
    for element in root.iter():
        for key, value in element.attrib.items():
            if key in ("id", "aria-labelledby"):
                element.set(key, prefix + value)
            elif "url(#" in value:
                element.set(key, _LINK.sub(rf"url(#{prefix}\1)", value))
