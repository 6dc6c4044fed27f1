"""The lines of the tables: what is asked, and how the answers may differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any


class _Named:
    """A value that stands for something else and prints as its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


ANY = _Named("(anything)")
ABSENT = _Named("(absent)")


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where Ithil's answer differs from Orthanc 1.10's on purpose.

    `where` is a pattern (as of the shell) for the place: `status`, `header.etag`, `body` (text and bytes),
    or a path in a JSON body such as `body.Labels` or `body.*.MainDicomTags.TimezoneOffsetFromUTC`. With
    `ours` Ithil must answer that very value; without it the place is not looked at. `theirs` limits the
    difference to where Orthanc has that value; `when` is asked with both values.
    """

    where: str
    reason: str
    ours: Any = ANY
    theirs: Any = ANY
    when: Callable[[Any, Any], bool] | None = None

    def __str__(self) -> str:
        return f"{self.where}: Orthanc {self.theirs!r}, Ithil {self.ours!r}: {self.reason}"

    def covers(self, found: Found) -> bool:
        """Whether `found` is this difference."""
        return (
            fnmatchcase(found.place, self.where)
            and (self.ours is ANY or self.ours == found.ours)
            and (self.theirs is ANY or self.theirs == found.theirs)
            and (self.when is None or self.when(found.theirs, found.ours))
        )


@dataclass(frozen=True, slots=True)
class Found:
    """One place where two answers differ; `ABSENT` stands for a value that one side does not have."""

    place: str
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.place}: Orthanc {_shortened(self.theirs)}, Ithil {_shortened(self.ours)}"


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:120]}...{text[-30:]} ({len(text)} characters)"


Body = bytes | str | Callable[[], bytes] | None


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    In `path` `{study:CT_small}` stands for the public id of that file's study, `{study}` for every study;
    `{job}` is the last job that was asked for of each server, `{job:ended}` waits until that one has ended.
    `{query}` is the last query of each server to the third one.
    `compare` is `all` (status, headers, body) or `status` where the body is by nature each server's own.
    `ours` lists what differs on purpose; `unordered` compares a JSON list without regard to its order.
    """

    method: str
    path: str
    body: Body = None
    headers: Mapping[str, str] = field(default_factory=dict)
    user: tuple[str, str] | None = None
    compare: str = "all"
    ours: tuple[Difference, ...] = ()
    unordered: bool = False
    note: str = ""

    @property
    def title(self) -> str:
        """How reports and test names call this line."""
        return f"{self.method} {self.path}{f' ({self.note})' if self.note else ''}"

    def content(self) -> bytes | str | None:
        """The body to send."""
        return self.body() if callable(self.body) else self.body


@dataclass(frozen=True, slots=True)
class Scenario:
    """Lines that are asked in order of one pair of fresh servers with the same configuration and files.

    `files` are uploaded to both before the first line; None means all that both accept. With `third`, a third
    server, an Orthanc with these files, is the modality `third` of both; the modality `dead` is nowhere.
    """

    name: str
    lines: tuple[Ask, ...]
    files: tuple[str, ...] | None = ()
    configuration: Mapping[str, Any] = field(default_factory=dict)
    user: tuple[str, str] | None = None  # who uploads the files
    third: tuple[str, ...] | None = None
