"""What the archive can refuse with. Each skin maps these to its own codes; none carries patient data."""

from __future__ import annotations


class ArchiveError(Exception):
    """Base of everything the archive raises on purpose."""


class StorageFull(ArchiveError):
    """The disk or the quota is full: HTTP 507, DIMSE status A700H."""


class StorageUnavailable(ArchiveError):
    """The storage cannot be written or read (permissions, I/O error): HTTP 500, DIMSE status A700H."""


class FileMissing(ArchiveError):
    """The index names a stored file that is not there: HTTP 404 or 500."""


class FileCorrupted(ArchiveError):
    """A stored file does not have the size, checksum or compression format that the index remembers."""


class IndexUnavailable(ArchiveError):
    """The database is unreachable, locked beyond patience or refuses to work: HTTP 503, DIMSE A700H."""


class IndexBusy(IndexUnavailable):
    """Other transactions were in the way at every try of this one; the database itself is well."""


class CommitUncertain(IndexUnavailable):
    """The connection broke while the database was committing, so that nobody knows whether it did.

    Nothing that the transaction may refer to must be taken away.
    """


class ReadOnly(ArchiveError):
    """The archive is configured with `ReadOnly`, so nothing may be written."""


class MissingIdentifier(ArchiveError):
    """The data set lacks the Study, Series or SOP Instance UID without which it has no place in the tree.

    HTTP 404 with Orthanc's error 21 (Inexistent tag), DIMSE status A900H.
    """


class DataSetMismatch(ArchiveError):
    """The data set is not of the SOP class, or not the instance, that the sender announced: A900H."""
