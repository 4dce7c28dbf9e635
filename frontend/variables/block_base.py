"""What variables and applications know of a block: what it is called, and which block holds it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..location import user_location


class BlockBase:
    """A block as variables and applications know it; `drawing/blocks.py` has all of it."""

    name: str | None = None
    _parent: tuple[BlockBase, str] | None = None

    def forward(self, *inputs: Any) -> Any:
        """What the block computes: variables to a variable, or a tuple or dict of them."""
        raise TypeError(
            f"{self._describe()} ({user_location()}) has no forward: write `def forward(self, x): "
            "...` in its class"
        )

    def parameters(self) -> Mapping[str, Any]:
        """The variables that are its parameters, by name."""
        raise NotImplementedError

    @property
    def _has_place(self) -> bool:
        """Whether the block belongs to one place; a mere function does not."""
        return True

    @property
    def _root(self) -> BlockBase:
        """The outermost block that holds this one."""
        block: BlockBase = self
        while block._parent is not None:
            block = block._parent[0]
        return block

    @property
    def _default_name(self) -> str:
        """What `default_name` says."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    def _path(self, roots: Mapping[BlockBase, str] | None = None) -> str:
        """What `path` says, in a diagram that names its outermost blocks so."""
        words: list[str] = []
        block: BlockBase = self
        while block._parent is not None:
            parent, attribute = block._parent
            words.append(block.name or attribute)
            block = parent
        words.append((roots or {}).get(block) or block.name or block._default_name)
        return "/".join(reversed(words))

    def _details(self) -> str:
        """Its sizes in a few words, for tooltips and summaries: "5×5, stride 2"."""
        return ""

    def _describe(self) -> str:
        """What `describe` says."""
        named = self.name is not None or self._parent is not None
        return f"{type(self).__name__} '{self._path()}'" if named else type(self).__name__
