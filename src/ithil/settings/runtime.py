"""What an operator can change while the server runs, until it stops: `PUT /tools/default-encoding` and such.

The values hold for all processes of the server on this host. They lie in shared memory behind a version
number, so looking whether something changed costs next to nothing and nobody has to be told. None means that
the configuration decides.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ithil.host_memory import HostMemory

SIZE = 1024 * 1024
"""Bytes of the page; the values as JSON must fit into it."""

_HEAD = struct.Struct("=QII")  # version, checksum and length of the JSON behind
_VERSION = struct.Struct("=Q")
_ATTEMPTS = 1000


@dataclass(frozen=True, slots=True)
class RuntimeValues:
    """The values that differ from the configuration.

    Attributes:
        log_levels: `default`, `verbose` or `trace` by category; see `ithil.logs`.
        default_encoding: Orthanc's name of an encoding.
        accepted_transfer_syntaxes: UIDs; empty accepts none.
        unknown_sop_class_accepted: as the option of that name.
        metrics: whether metrics are shown.
        remotes: modalities and peers by kind and name, as JSON of the configuration's form; None for one
            of the configuration that was removed.
    """

    log_levels: dict[str, str] = field(default_factory=dict)
    default_encoding: str | None = None
    accepted_transfer_syntaxes: tuple[str, ...] | None = None
    unknown_sop_class_accepted: bool | None = None
    metrics: bool | None = None
    remotes: dict[str, dict[str, Any]] = field(default_factory=dict)


class TooLarge(Exception):
    """The values do not fit into the shared memory."""


class Runtime:
    """The values of this host. Make it before the processes are forked. Safe to be used by many threads."""

    def __init__(self) -> None:
        self._memory = HostMemory(SIZE)
        self._known: tuple[int, RuntimeValues] = (0, RuntimeValues())

    @property
    def version(self) -> int:
        """A number that is another one whenever a value has changed."""
        return int(_VERSION.unpack_from(self._memory.pages)[0])

    @property
    def values(self) -> RuntimeValues:
        """The values as they are now."""
        version, values = self._known
        return values if version == self.version else self._read()

    def change(self, **changes: Any) -> RuntimeValues:
        """Set some values for all processes. Raises TooLarge and changes nothing if they do not fit."""
        return self.update(lambda values: replace(values, **changes))

    def update(self, new: Callable[[RuntimeValues], RuntimeValues]) -> RuntimeValues:
        """The same, where the new values depend on the old ones."""
        with self._memory.lock():
            values = new(self._read())
            self._write(values)
        return values

    def reset(self) -> None:
        """Let the configuration decide about everything again."""
        with self._memory.lock():
            self._write(RuntimeValues())

    def _write(self, values: RuntimeValues) -> None:
        content = json.dumps({name: getattr(values, name) for name in values.__dataclass_fields__}).encode()
        if len(content) > SIZE - _HEAD.size:
            raise TooLarge(f"more than {SIZE} bytes")
        pages = self._memory.pages
        pages[_HEAD.size : _HEAD.size + len(content)] = content
        _HEAD.pack_into(pages, 0, self.version + 1, zlib.crc32(content), len(content))

    def _read(self) -> RuntimeValues:
        for _ in range(_ATTEMPTS):
            version, checksum, length = _HEAD.unpack_from(self._memory.pages)
            if not version:
                break
            content = self._memory.pages[_HEAD.size : _HEAD.size + min(length, SIZE)]
            # A process that writes at this moment is found out by the checksum, and done in microseconds.
            if zlib.crc32(content) == checksum and version == self.version:
                found = json.loads(content)
                syntaxes = found.pop("accepted_transfer_syntaxes")
                values = RuntimeValues(
                    accepted_transfer_syntaxes=None if syntaxes is None else tuple(syntaxes), **found
                )
                self._known = (version, values)
                return values
        return self._known[1]
