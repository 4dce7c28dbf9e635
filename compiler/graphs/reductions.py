"""From which sizes on a reduction is worth parts, or a row a reduction of its own."""

from __future__ import annotations

SHORTEST_ROW = 32
"""Elements below which a row is not worth a reduction of its own."""

ONE_THREAD = 4096
"""Elements up to which a reduction to one number is not worth more than one thread."""
