"""The documentation is held to the code: what a page names exists, and what a user can name is on a page.

The tour of the README is run as a newcomer would run it, on a server of its own.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import tag_for_keyword
from tests.servers.ithil import Ithil

from ithil import cli
from ithil.app import every_route
from ithil.dicom.level import Level
from ithil.settings.model import Settings
from ithil.settings.option import options_of

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "src/README.md", *(ROOT / "docs").rglob("*.md")])
# Written by programs, whose own tests compare them with their sources.
WRITTEN_BY_PROGRAMS = ("configuration.md", "compatibility.md", "performance.md")
PROSE = [page for page in PAGES if page.name not in WRITTEN_BY_PROGRAMS]

# Names of the same form as options: fields and values of answers, kinds of changes, a folder.
NO_OPTIONS = {
    *(
        "DicomInstances",
        "PerformedProcedureSteps",
        "ScheduledProcedureStepID",
        "ScheduledProcedureStepStatus",
    ),
    *("ScheduledStationAETitle", "ScheduledStepAttributesSequence", "AllowEventReport"),
    *("OrthancPeerStore", "PullTransfer", "PushTransfer", "RemoteSelf"),
    *("CertificateFile", "CertificateKeyFile", "CertificateKeyPassword", "HttpHeaders", "HasDelete"),
    *("ChunkedTransfers", "HasWadoRsUniversalTransferSyntax", "GetArguments"),
    *("FirstDelay", "LongestDelay", "UseDicomTls"),
    *("ArchiveSize", "FailedInstancesCount", "LossyQuality", "SeriesDescription"),
    *("AlreadyStored", "ChangeType", "HttpStatus", "IfChanged", "IsProtected", "IsStable", "MainDicomTags"),
    *("CompletedSeries", "NewInstance", "NewPatient", "NewSeries", "NewStudy", "OrthancStatus"),
    *(
        "CheckFind",
        "OrthancStorage",
        "RemainingAncestor",
        "RequestedTags",
        "StablePatient",
        "StableSeries",
        "StableStudy",
    ),
    *("DicomDiskSize", "DiskSize", "LimitToThisLevelMainDicomTags", "ReconstructFiles"),
    *("UpdatedAttachment", "UpdatedMetadata"),
    *("AsFloat", "AsInt", "CaseSensitive", "DicomTag", "InstanceAvailability", "LabelsConstraint"),
    *("MetadataQuery", "ModalitiesInStudy", "OrderBy", "ParentPatient", "ParentSeries", "ParentStudy"),
    *("QueryMetadata", "ResponseContent"),
    *("ErrorCode", "ErrorDescription", "ErrorDetails", "UserData"),
    *("InterpretBinaryTags", "PrivateCreator"),
    *("AllowEcho", "AllowFind", "AllowFindWorklist", "AllowGet", "AllowMove", "AllowStorageCommitment"),
    *("AllowStore", "AllowTranscoding", "CalledAet", "ErrorPayload", "GenericNoUniversalWildcard"),
    *("GenericNoWildcardInDates", "LocalAet", "RetrieveMethod", "SiemensSyngoCT", "StorageCommitment"),
    *("TargetAet", "UseDicomTls"),
    *("AnonymizedFrom", "DeidentificationMethod", "DicomVersion", "KeepLabels", "KeepPrivateTags"),
    *("KeepSource", "ModifiedFrom", "ModifiedPatient", "ModifiedSeries", "ModifiedStudy", "PatientID"),
    *("PatientIdentityRemoved", "PatientName", "ProfileOptions", "RemovePrivateTags"),
    *("RetainDeviceIdentity", "RetainInstitutionIdentity", "RetainLongitudinalFullDates"),
    *("RetainLongitudinalModifiedDates", "RetainPatientCharacteristics", "RetainUIDs", "StudyInstanceUID"),
}

COMMANDS = (
    *(("serve",), ("check",), ("config",), ("config", "check"), ("openapi",)),
    *(("viewer",), ("viewer", "install")),
)

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?:^|\s|bin/)ithil (\S[^`#|;]*)")
_OPTION = re.compile(r"(?<!\S)--[a-z][a-z0-9-]*")


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _blocks(text: str, language: str) -> list[str]:
    return [block for kind, block in _FENCE.findall(text) if kind == language]


def _spans(text: str) -> list[str]:
    """What stands between backticks outside of blocks."""
    return _SPAN.findall(_FENCE.sub("", text))


def _anchors(page: Path) -> set[str]:
    """The anchors that web pages of forges give to headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{_name(page)} links to {link}"
        assert not anchor or anchor in _anchors(target), f"{_name(page)} links to {link}"


def test_every_page_is_reachable_from_the_index() -> None:
    index = ROOT / "docs/README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in _LINK.findall(index.read_text())}
    decisions = ROOT / "docs/decisions"
    assert decisions in linked
    for page in (ROOT / "docs").rglob("*.md"):
        assert page == index or page in linked or decisions in page.parents, f"{_name(page)} is on no list"


def _help(capsys: pytest.CaptureFixture[str], command: tuple[str, ...]) -> str:
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def _options(text: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z0-9-]*", text))


def _mentions() -> Iterator[tuple[Path, tuple[str, ...], set[str]]]:
    """Page, command and options of each `ithil ...` in code."""
    for page in PROSE:
        text = page.read_text()
        code = [line for _, block in _FENCE.findall(text) for line in block.replace("\\\n", "").splitlines()]
        for piece in [*code, *_spans(text)]:
            for arguments in _COMMAND.findall(piece):
                words = arguments.split()
                command = tuple(words[: 2 if words[0] in ("config", "viewer") else 1])
                yield page, () if words[0].startswith("--") else command, set(_OPTION.findall(arguments))


def test_commands_and_options_on_pages_exist(capsys: pytest.CaptureFixture[str]) -> None:
    known = {command: _options(_help(capsys, command)) for command in ((), *COMMANDS)}
    mentions = list(_mentions())
    assert mentions
    for page, command, options in mentions:
        assert command in known, f"{_name(page)}: ithil {' '.join(command)}"
        assert options <= known[command], f"{_name(page)}: ithil {' '.join(command)} {options}"


def test_commands_and_options_are_on_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    documented: dict[tuple[str, ...], set[str]] = {}
    for _, command, options in _mentions():
        documented.setdefault(command, set()).update(options)
    everywhere = "".join(page.read_text() for page in PROSE)
    for command in ((), ("serve",), ("check",), ("config", "check"), ("viewer", "install")):
        assert command in documented
        for option in _options(_help(capsys, command)) - {"--help"}:
            assert option in documented[command] or f"`{option}`" in everywhere, (command, option)


def _option_names() -> dict[str, set[str]]:
    """Top-level options, with the names of those in a section."""
    return {
        key: set(options_of(option.section)) if option.section is not None else set()
        for key, option in options_of(Settings).items()
    }


@pytest.mark.parametrize("page", PROSE, ids=_name)
def test_configuration_options_on_pages_exist(page: Path) -> None:
    text, known = page.read_text(), _option_names()
    names = {*known, *(key for section in known.values() for key in section)}
    for span in _spans(text):
        assert (
            not re.fullmatch(r"[A-Z][a-z]+[A-Z]\w*", span)
            or span in names | NO_OPTIONS
            or tag_for_keyword(span)
        ), span
        for key in re.findall(r'"(\w+)":', span):
            assert key in known, span
        for key in re.findall(r"\bIthil\.([A-Z]\w+)", span):
            assert key in known["Ithil"], span
    for block in _blocks(text, "json"):
        try:
            values = json.loads(block)
        except ValueError:
            continue  # an excerpt of an answer, which the test of the tour compares
        if not isinstance(values, dict) or not set(values) & set(known):
            continue  # an answer of the REST API
        for key, value in values.items():
            assert key in known, block
            if known[key]:
                assert set(value) <= known[key], block


def test_routes_are_on_a_page_of_the_guide() -> None:
    guide = "\n".join(page.read_text() for page in sorted((ROOT / "docs/guide").glob("*.md")))
    rows = re.findall(r"^\| `([A-Z]+) (/\S*)` \|", guide, re.MULTILINE)
    documented = [
        f"{method} {path.replace('{level}', level.plural)}"
        for method, path in rows
        for level in (Level if "{level}" in path else (Level.PATIENT,))
    ]
    assert len(documented) == len(set(documented)), "a route is there twice"
    there = {
        f"{route.method} {route.path.replace(':path}', '}')}"
        for route in every_route(Settings())
        if route.method != "OPTIONS"
    }
    assert set(documented) == there


@pytest.mark.parametrize("name", ["src/README.md", "docs/architecture.md"])
def test_modules_on_pages_exist(name: str) -> None:
    for span in _spans((ROOT / name).read_text()):
        if re.fullmatch(r"[\w/]+(\.py|/)", span):
            places = (ROOT / span, ROOT / "src" / span, ROOT / "src/ithil" / span)
            assert any(place.exists() for place in places) or "*" in span, span


def _section(text: str, heading: str) -> str:
    _, _, after = text.partition(f"\n## {heading}\n")
    assert after, heading
    return after.partition("\n## ")[0]


def _replaced(text: str, old: str, new: str) -> str:
    assert old in text, old
    return text.replace(old, new)


def test_the_tour_works(ithil: Ithil, tmp_path: Path) -> None:
    tour = _section((ROOT / "README.md").read_text(), "A three-minute tour")
    script = "".join(_blocks(tour, "shell"))
    # The same commands; what is replaced is where the packages and the server are on this machine.
    packages = Path(pydicom.__file__).parents[1].as_posix()
    script = _replaced(script, ".venv/lib/python3*/site-packages", packages)
    script = _replaced(script, "localhost:8042", f"localhost:{ithil.http_port}")
    script = _replaced(script, "localhost 4242", f"localhost {ithil.dicom_port}")
    script = 'curl() { command curl --fail --noproxy "*" "$@" && echo; }\n' + script
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr + ithil.log
    assert "the same bytes" in done.stdout
    said = {line.strip().rstrip(",") for line in done.stdout.splitlines()}
    shown = [line.strip().rstrip(",") for block in _blocks(tour, "json") for line in block.splitlines()]
    assert shown
    assert [line for line in shown if line not in said] == []
