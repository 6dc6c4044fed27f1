"""Modalities, peers and DICOMweb servers as they are now: those of the configuration, with what was changed since.

Where changes are kept depends on `DicomModalitiesInDatabase`, `OrthancPeersInDatabase` and
`DicomWeb.ServersInDatabase`. With them, a table of the index is all there is: the list in the configuration does
not count, and changes hold for every server that shares the index. Without them, changes lie over the
configuration in the memory that the processes of one host share, and are forgotten when the server stops, as in
Orthanc.

Everybody asks here and not the settings, so that a change counts for the next association of every process.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import orjson

from ithil import error_codes as codes
from ithil.archive.archive import Archive
from ithil.archive.errors import ReadOnly
from ithil.archive.index import remotes as rows
from ithil.archive.index.statement import Session
from ithil.error_codes import CodedError
from ithil.settings import Modality, Settings
from ithil.settings.option import WrongValue
from ithil.settings.remotes import Peer, parse_dicomweb_server, parse_modality, parse_peer
from ithil.settings.runtime import RuntimeValues, TooLarge

MOST = 10_000
"""Remotes of one kind that can be kept."""

LONGEST = 64 * 1024
"""Bytes of the JSON of one."""

log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Directory(Generic[R]):
    """All remotes of one kind."""

    kind: str
    called: str  # in messages
    parse: Callable[[Any, list[str]], R]
    configured: Callable[[Settings], dict[str, R]]
    in_database: Callable[[Settings], bool]

    def all(self, archive: Archive) -> dict[str, R]:
        """Every one by its symbolic name, sorted. Raises IndexUnavailable."""
        settings = archive.settings
        if self.in_database(settings):
            with archive.index.read() as session:
                kept = rows.every(session, self.kind)
            found = {
                name: one for name, value in kept.items() if (one := self._read(name, value)) is not None
            }
        else:
            found = dict(self.configured(settings))
            for name, value in archive.runtime.values.remotes.get(self.kind, {}).items():
                if value is None:
                    found.pop(name, None)
                else:
                    found[name] = self.parse(value, [])
        return dict(sorted(found.items()))

    def _read(self, name: str, value: str) -> R | None:
        """What a row says; one that is damaged, or of a later version, must not hide the others."""
        try:
            return self.parse(orjson.loads(value), [])
        except (ValueError, WrongValue):
            log.error("The %s %s in the database cannot be read, so it is passed over", self.called, name)
            return None

    def get(self, archive: Archive, name: str) -> R | None:
        """The one with that name."""
        return self.all(archive).get(name)

    def named(self, archive: Archive, name: str) -> R:
        """The same. Raises CodedError (inexistent item) if there is none."""
        found = self.get(archive, name)
        if found is None:
            raise CodedError(codes.INEXISTENT_ITEM, f"No {self.called} with symbolic name: {name[:64]}")
        return found

    def put(self, archive: Archive, name: str, value: Any) -> R:
        """Add or replace one; `value` is JSON in one of the forms that the configuration takes.

        Raises CodedError: bad file format for a name with other characters than letters, digits, hyphen and
        underscore, and for a value of the wrong form; not enough memory for too many. Raises ReadOnly.
        """
        if not _NAME.match(name):
            raise CodedError(
                codes.BAD_FILE_FORMAT,
                f"Only letters, digits, hyphens and underscores are allowed in the name of a {self.called}",
            )
        text = orjson.dumps(value).decode()
        if len(text) > LONGEST:
            raise CodedError(codes.BAD_FILE_FORMAT, f"A {self.called} has at most {LONGEST} bytes")
        try:
            parsed = self.parse(value, [])
        except WrongValue as wrong:
            raise CodedError(codes.BAD_FILE_FORMAT, f"A {self.called} must be {wrong}") from wrong
        if self.in_database(archive.settings):
            self._put_row(archive, name, text)
        else:
            self._lay_over(archive, name, value)
        return parsed

    def remove(self, archive: Archive, name: str) -> bool:
        """Forget one; False if there is none. Raises ReadOnly."""
        if self.in_database(archive.settings):
            _check_writable(archive)
            return archive.index.write(lambda session: rows.delete(session, self.kind, name))
        if self.get(archive, name) is None:
            return False
        self._lay_over(archive, name, None)
        return True

    def _put_row(self, archive: Archive, name: str, value: str) -> None:
        _check_writable(archive)

        def work(session: Session) -> None:
            if rows.count(session, self.kind) >= MOST:
                raise CodedError(codes.NOT_ENOUGH_MEMORY, f"There are too many of the kind {self.called}")
            rows.put(session, self.kind, name, value)

        archive.index.write(work)

    def _lay_over(self, archive: Archive, name: str, value: Any) -> None:
        is_configured = name in self.configured(archive.settings)

        def changed(values: RuntimeValues) -> RuntimeValues:
            mine = {**values.remotes.get(self.kind, {}), name: value}
            if value is None and not is_configured:
                del mine[name]
            return replace(values, remotes={**values.remotes, self.kind: mine})

        try:
            archive.runtime.update(changed)
        except TooLarge as error:
            raise CodedError(
                codes.NOT_ENOUGH_MEMORY,
                f"There is no more room for a {self.called} that is not in the database or the configuration",
            ) from error


def _check_writable(archive: Archive) -> None:
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")


MODALITIES: Directory[Modality] = Directory(
    "modality",
    "modality",
    parse_modality,
    lambda settings: settings.dicom_modalities,
    lambda settings: settings.dicom_modalities_in_database,
)
PEERS: Directory[Peer] = Directory(
    "peer",
    "peer",
    parse_peer,
    lambda settings: settings.orthanc_peers,
    lambda settings: settings.orthanc_peers_in_database,
)
DICOMWEB_SERVERS: Directory[Peer] = Directory(
    "dicomweb",
    "DICOMweb server",
    parse_dicomweb_server,
    lambda settings: settings.dicom_web.servers,
    lambda settings: settings.dicom_web.servers_in_database,
)


def modalities(archive: Archive) -> dict[str, Modality]:
    """All DICOM modalities by symbolic name."""
    return MODALITIES.all(archive)


def modality(archive: Archive, name: str) -> Modality:
    """The modality with that symbolic name. Raises CodedError (inexistent item)."""
    return MODALITIES.named(archive, name)


def modality_json(modality: Modality) -> dict[str, Any]:
    """A modality in the object form of the configuration, as `/modalities/{id}/configuration` shows it."""
    return {
        "AET": modality.aet,
        "AllowEcho": modality.allow_echo,
        "AllowEventReport": modality.allow_event_report,
        "AllowFind": modality.allow_find,
        "AllowFindWorklist": modality.allow_find_worklist,
        "AllowGet": modality.allow_get,
        "AllowMove": modality.allow_move,
        "AllowNAction": modality.allow_n_action,
        "AllowStore": modality.allow_store,
        "AllowTranscoding": modality.allow_transcoding,
        "Host": modality.host,
        "LocalAet": modality.local_aet,
        "Manufacturer": modality.manufacturer,
        "Port": modality.port,
        "RetrieveMethod": modality.retrieve_method,
        "Timeout": modality.timeout,
        "UseDicomTls": modality.use_dicom_tls,
    }
