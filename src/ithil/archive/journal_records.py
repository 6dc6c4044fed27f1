"""What a record of the journal says of an instance, beside its bytes: all that it takes to store it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import orjson

from ithil.archive.index.ingest import NewInstance
from ithil.archive.model import Attachment, Origin, Provenance
from ithil.dicom.level import Level


@dataclass(frozen=True, slots=True)
class Noted:
    """An instance as its record has it. Its bytes, as stored, are in the record or in the file `uuid`."""

    instance: str  # its public id
    uuid: str
    compression: int
    overwrite: str
    date: str  # of its arrival, YYYYMMDDTHHMMSS, UTC
    arrived_at: float  # the same in seconds since 1970
    origin: Origin
    provenance: Provenance | None


def head_of(new: NewInstance, file: Attachment, origin: Origin, provenance: Provenance | None) -> bytes:
    """The head of the record of an instance."""
    return orjson.dumps(
        {
            "instance": new.public_ids[Level.INSTANCE],
            "uuid": file.uuid,
            "compression": file.compression,
            "overwrite": new.overwrite,
            "date": new.date,
            "arrived_at": new.arrived_at,
            "origin": asdict(origin),
            "provenance": asdict(provenance) if provenance is not None else None,
        }
    )


def read_head(head: bytes) -> Noted:
    """What `head_of` has written."""
    values = orjson.loads(head)
    provenance = values.pop("provenance")
    return Noted(
        **{**values, "origin": Origin(**values["origin"])},
        provenance=Provenance(provenance["metadata"], tuple(provenance["sources"])) if provenance else None,
    )
