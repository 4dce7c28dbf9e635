"""How long each pass took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Timings:
    """Seconds that each pass took."""

    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, name: str, function: Callable[..., Any], *inputs: Any) -> Any:
        """The pass's result, its time noted."""
        start = time.perf_counter()
        result = function(*inputs)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
        return result
