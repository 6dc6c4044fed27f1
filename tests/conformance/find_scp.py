"""C-FIND: a hundred queries to both servers over the same real files, statuses and answers compared.

What is sent are the identifiers that dcmtk's `findscu -k ...` would send. Answers are compared attribute by
attribute, each with the answer for the same resource of the other server, so their order does not count.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence as DicomSequence

from ithil.dicom.uids import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.network.messages import Command, CommandField
from ithil.network.requestor import Requestor, connect
from tests.conformance.compare import undeclared, unused
from tests.conformance.find_questions import (
    EVERYWHERE,
    PATIENT_ROOT,
    QUESTIONS,
    STUDY_ROOT,
    UNIQUE,
    Question,
)
from tests.conformance.line import ABSENT, Difference, Found
from tests.conformance.pair import Pair, running_pair
from tests.servers.process import DicomServer

CONFIGURATION = {"DicomAlwaysAllowFind": True}


@dataclass(slots=True)
class Outcome:
    """What came of one question."""

    question: Question
    matches: int = 0
    on_purpose: list[Found] = field(default_factory=list)
    undeclared: list[Found] = field(default_factory=list)
    stale: list[Difference] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether all is as the table says."""
        return not self.undeclared and not self.stale

    def __str__(self) -> str:
        lines = [f"C-FIND {self.question.title}: {len(self.undeclared)} differences, {self.matches} matches"]
        lines += [f"  {each}" for each in self.undeclared[:10]]
        lines += [f"  declared, but there is no such difference: {each}" for each in self.stale]
        return "\n".join(lines)


Answers = tuple[str, dict[str, dict[str, Any]]]
"""The final status, and by unique identifier what was answered for it, by keyword."""


def ask(peer: Requestor, question: Question) -> Answers:
    """The answers of one server."""
    context = peer.context_for(question.root, question.syntax)
    command = Command(AffectedSOPClassUID=question.root, CommandField=CommandField.C_FIND, Priority=0)
    implicit, little = question.syntax == IMPLICIT_LITTLE, question.syntax != EXPLICIT_BIG
    found: dict[str, dict[str, Any]] = {}
    status = ""
    unique = UNIQUE.get(question.level.upper(), "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for response in peer.request(context, command, [question.identifier()]):
            status = f"{response.command.status:04X}"
            if response.data_set is not None:
                values = dict(_values(read_dataset(io.BytesIO(response.data_set), implicit, little)))
                name = str(values.get(unique, ""))
                while name in found:
                    name += "+"  # several patients without an identifier
                found[name] = values
    return status, found


def _values(answer: Dataset) -> Iterator[tuple[str, Any]]:
    for tag in sorted(answer.keys()):
        name = keyword_for_tag(tag) or f"{tag:08x}"
        raw = answer.get_item(tag).value
        try:
            value = answer[tag].value
        except ValueError:  # text that is no number, as some files have it
            value = raw
        if isinstance(value, DicomSequence):
            yield name, [dict(_values(item)) for item in value]
        else:
            several = not isinstance(value, str | bytes) and isinstance(value, Sequence)
            yield name, [str(each) for each in value] if several else str("" if value is None else value)


def differences(theirs: Answers, ours: Answers) -> list[Found]:
    """Where the answers of Orthanc and Ithil differ."""
    found = []
    if theirs[0] != ours[0]:
        found.append(Found("status", theirs[0], ours[0]))
    if theirs[1].keys() != ours[1].keys():
        found.append(
            Found(
                "answers",
                sorted(theirs[1].keys() - ours[1].keys()),
                sorted(ours[1].keys() - theirs[1].keys()),
            )
        )
    for name in theirs[1].keys() & ours[1].keys():
        one, other = theirs[1][name], ours[1][name]
        for keyword in dict.fromkeys((*one, *other)):
            values = one.get(keyword, ABSENT), other.get(keyword, ABSENT)
            if values[0] != values[1]:
                found.append(Found(f"answer.{keyword}", *values))
    return found


def _contexts() -> list[tuple[str, list[str]]]:
    return [
        (root, [syntax])
        for root in (STUDY_ROOT, PATIENT_ROOT)
        for syntax in (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG)
    ]


def _ask_all(server: DicomServer, questions: Sequence[Question]) -> list[Answers]:
    with connect(
        "127.0.0.1", server.dicom_port, called="ORTHANC", calling="CONFORMANCE", contexts=_contexts()
    ) as peer:
        return [ask(peer, question) for question in questions]


def compare(pair: Pair, questions: Sequence[Question]) -> list[Outcome]:
    """Ask both servers, on one association each."""
    with ThreadPoolExecutor(2) as side_by_side:
        theirs, ours = side_by_side.map(_ask_all, (pair.peer, pair.subject), (questions, questions))
    outcomes = []
    for question, one, other in zip(questions, theirs, ours, strict=True):
        found = differences(one, other)
        declared = () if pair.is_control else (*question.ours, *EVERYWHERE)
        wrong = undeclared(found, declared)
        outcome = Outcome(question, len(other[1]), [each for each in found if each not in wrong], wrong)
        outcome.stale = [] if pair.is_control else unused(found, question.ours)
        outcomes.append(outcome)
    return outcomes


def find_outcomes(folder: Path, files: Sequence[str], subject: str = "ithil") -> list[Outcome]:
    """Ask all of `QUESTIONS` of a fresh pair that has `files`."""
    with running_pair(folder, CONFIGURATION, subject) as pair:
        pair.upload(files)
        return compare(pair, QUESTIONS)
