"""Two servers with one configuration and the same files, asked side by side."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.compare import differences, undeclared, unused
from tests.conformance.everywhere import EVERYWHERE
from tests.conformance.line import Ask, Difference, Found, Scenario
from tests.data.real import all_files, content_of
from tests.servers.ithil import Ithil
from tests.servers.orthanc import Orthanc
from tests.servers.process import DicomServer
from tests.servers.web import Answer

LEVELS = {"patient": "ParentPatient", "study": "ParentStudy", "series": "ParentSeries", "instance": "ID"}
QUIET = {"StableAge": 86400}  # no resource becomes stable while it is compared
_JOB = re.compile(r"\{job(:ended)?\}")
_QUERY = "{query}"
JOB_DEADLINE = 60.0  # seconds until a job must have ended
_PLACE = re.compile(r"\{(patient|study|series|instance)(?::([^}]*))?\}")


@dataclass(slots=True)
class Outcome:
    """What came of one line: differences on purpose, undeclared ones, and declared ones that are gone."""

    ask: Ask
    asked: int = 0
    on_purpose: list[tuple[str, Found]] = field(default_factory=list)
    undeclared: list[tuple[str, Found]] = field(default_factory=list)
    stale: list[Difference] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether all is as the table says."""
        return not self.undeclared and not self.stale

    def __str__(self) -> str:
        lines = [f"{self.ask.title}: {len(self.undeclared)} differences in {self.asked} requests"]
        lines += [f"  {path}: {found}" for path, found in self.undeclared[:20]]
        if len(self.undeclared) > 20:
            lines.append(f"  and {len(self.undeclared) - 20} more")
        lines += [f"  declared, but there is no such difference: {each}" for each in self.stale]
        return "\n".join(lines)


@dataclass(slots=True)
class Pair:
    """`peer` is Orthanc; `subject` is what is compared with it. `ids` maps a file to its four public ids."""

    peer: DicomServer
    subject: DicomServer
    ids: dict[str, dict[str, str]] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)  # the last job of each server, by its name
    queries: dict[str, str] = field(default_factory=dict)  # and the last query

    @property
    def is_control(self) -> bool:
        """Whether Orthanc is compared with itself, where nothing may differ, on purpose or not."""
        return type(self.peer) is type(self.subject)

    def both(self, ask: Ask, path: str) -> tuple[Answer, Answer]:
        """The two answers to `ask` at `path`, Orthanc's first."""
        theirs, ours = (self._ask(server, ask, path) for server in (self.peer, self.subject))
        return theirs, ours

    def _ask(self, server: DicomServer, ask: Ask, path: str) -> Answer:
        """The answer of one server; `{job}` in `path` is the last job that it was asked for."""
        place = _JOB.search(path)
        if place is not None:
            job = self.jobs[server.folder.name]
            if place[1]:
                _wait_for(server, job)
            path = path.replace(place[0], job)
        path = path.replace(_QUERY, self.queries.get(server.folder.name, "none"))
        answer = server.ask(ask.method, path, ask.content(), ask.headers, user=ask.user)
        if ask.method == "POST" and b'"/jobs/' in answer.body:
            self.jobs[server.folder.name] = answer.json()["ID"]
        if ask.method == "POST" and answer.status == 200 and b'"/queries/' in answer.body:
            self.queries[server.folder.name] = answer.json()["ID"]
        return answer

    def upload(self, names: Sequence[str], user: tuple[str, str] | None = None) -> None:
        """Store the files in both; raises AssertionError if one of them refuses a file."""
        for name in names:
            content = content_of(name)
            for server in (self.peer, self.subject):
                answer = server.ask("POST", "/instances", content, user=user)
                assert answer.status == 200, f"{server.name} refuses {name}: {answer.status}"
            self.remember(name, answer)

    def remember(self, name: str, answer: Answer) -> None:
        """Keep the ids of an upload's answer, so that lines can name the file."""
        body = answer.json()
        if isinstance(body, dict) and "ID" in body:
            self.ids[name] = {level: body[field] for level, field in LEVELS.items()}

    def paths(self, path: str) -> list[str]:
        """`path` with its placeholders filled in: one for a named file, one a resource otherwise."""
        place = _PLACE.search(path)
        if place is None:
            return [path]
        level, name = place.groups()
        if name is None:
            ids = dict.fromkeys(each[level] for each in self.ids.values())
        else:
            ids = dict.fromkeys([self._ids_of(name)[level]])
        return [
            full for each in ids for full in self.paths(f"{path[: place.start()]}{each}{path[place.end() :]}")
        ]

    def _ids_of(self, name: str) -> dict[str, str]:
        if name in self.ids:
            return self.ids[name]
        found = [
            ids for known, ids in self.ids.items() if Path(known).stem == name or Path(known).name == name
        ]
        if not found:
            raise KeyError(f"no file called {name} has been uploaded")
        return found[0]

    def run(self, ask: Ask) -> Outcome:
        """Ask both and compare."""
        outcome = Outcome(ask)
        line, everywhere = ((), ()) if self.is_control else (ask.ours, EVERYWHERE)
        seen: list[Found] = []
        for path in self.paths(ask.path):
            theirs, ours = self.both(ask, path)
            if ask.method == "POST" and theirs.status == 200 and not path.startswith("/tools/"):
                self._remember_upload(ask, theirs)
            found = differences(theirs, ours, ask)
            outcome.asked += 1
            seen += found
            wrong = undeclared(found, line + everywhere)
            outcome.undeclared += [(path, each) for each in wrong]
            outcome.on_purpose += [(path, each) for each in found if each not in wrong]
        outcome.stale = unused(seen, line)
        return outcome

    def _remember_upload(self, ask: Ask, answer: Answer) -> None:
        if ask.path == "/instances" and ask.note and answer.body:
            self.remember(ask.note, answer)


def _wait_for(server: DicomServer, job: str) -> None:
    deadline = time.monotonic() + JOB_DEADLINE
    while server.get(f"/jobs/{job}").json()["State"] not in ("Success", "Failure"):
        assert time.monotonic() < deadline, f"a job of {server.name} does not end"
        time.sleep(0.05)


SUBJECTS: dict[str, type[DicomServer]] = {"ithil": Ithil, "orthanc": Orthanc}


@contextmanager
def running_pair(
    folder: Path, configuration: dict[str, object] | None = None, subject: str = "ithil"
) -> Iterator[Pair]:
    """Orthanc and `subject` on fresh folders below `folder` with the same configuration."""
    settings = {**QUIET, **(configuration or {})}
    peer = Orthanc(folder / "peer", settings)
    other = SUBJECTS[subject](folder / "subject", settings)
    try:
        yield Pair(peer.start(), other.start())
    finally:
        peer.kill()  # its orderly end takes seconds and proves nothing here
        other.stop()


@contextmanager
def running_third(folder: Path, files: Sequence[str] | None) -> Iterator[dict[str, object]]:
    """A third server with these files, and what the configuration of others says of it; {} if None."""
    if files is None:
        yield {}
        return
    third = Orthanc(folder / "third", {**QUIET, "DicomAet": "THIRD", **_OPEN})
    place = ["THIRD", "127.0.0.1", third.dicom_port]
    third.configuration["DicomModalities"] = {"itself": place}
    try:
        third.start()
        for name in files:
            assert third.upload(content_of(name)).status == 200, f"the third server refuses {name}"
        yield {"DicomModalities": {"third": place, "dead": ["DEAD", "127.0.0.1", 1]}}
    finally:
        third.kill()


_OPEN = {f"DicomAlwaysAllow{what}": True for what in ("Echo", "Store", "Find", "Get", "Move")}


def accepted_by_both(folder: Path, subject: str = "ithil") -> list[str]:
    """The names of all real files that both servers store under the same public id, in order."""
    with running_pair(folder, subject=subject) as pair:
        return [name for name in all_files() if _stored_alike(pair, content_of(name))]


def _stored_alike(pair: Pair, content: bytes) -> bool:
    answers = [server.upload(content) for server in (pair.peer, pair.subject)]
    return (
        answers[0].status == answers[1].status == 200 and answers[0].json()["ID"] == answers[1].json()["ID"]
    )


def run_scenario(
    folder: Path, scenario: Scenario, files: Sequence[str], subject: str = "ithil"
) -> list[Outcome]:
    """All lines of `scenario`, in order, on a fresh pair; `files` is used where it wants all files."""
    with (
        running_third(folder, scenario.third) as modalities,
        running_pair(folder, {**modalities, **scenario.configuration}, subject) as pair,
    ):
        pair.upload(files if scenario.files is None else scenario.files, scenario.user)
        return [pair.run(ask) for ask in scenario.lines]
