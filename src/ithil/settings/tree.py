"""The merged configuration before it is typed, which remembers where each value came from.

Files, the environment and the command line are merged into one tree, objects key by key. The origins let an
error say in which file or variable the wrong value stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]


@dataclass(slots=True)
class Tree:
    """Nested values as JSON gives them, and for each path that was set the place that set it."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)

    def set(self, path: Path, value: Any, origin: str) -> None:
        """Put `value` at `path`; an object is merged into an object that is there, all else is replaced."""
        target = self.values
        for depth, key in enumerate(path[:-1], 1):
            below = target.get(key)
            if not isinstance(below, dict):
                below = target[key] = {}
                self._forget(path[:depth])
                self.origins[path[:depth]] = origin
            target = below
        self._merge(target, path, value, origin)

    def merge(self, values: dict[str, Any], origin: str) -> None:
        """Merge a whole object at the root."""
        for key, value in values.items():
            self._merge(self.values, (key,), value, origin)

    def origin(self, path: Path) -> str:
        """Where the value at `path` came from, or an empty string if nothing set it."""
        for length in range(len(path), 0, -1):
            found = self.origins.get(path[:length])
            if found is not None:
                return found
        return ""

    def _merge(self, target: dict[str, Any], path: Path, value: Any, origin: str) -> None:
        present = target.get(path[-1])
        if isinstance(present, dict) and isinstance(value, dict):
            for key, below in value.items():
                self._merge(present, (*path, key), below, origin)
            return
        target[path[-1]] = _copy(value)
        self._forget(path)
        self.origins[path] = origin

    def _forget(self, path: Path) -> None:
        for known in [known for known in self.origins if known[: len(path)] == path]:
            del self.origins[known]


def _copy(value: Any) -> Any:
    """A copy whose objects can be merged into without changing the caller's."""
    if isinstance(value, dict):
        return {key: _copy(below) for key, below in value.items()}
    return value
