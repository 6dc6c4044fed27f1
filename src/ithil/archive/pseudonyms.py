"""Anonymised copies of instances that are given away and not stored.

One secret of the archive decides the new identifiers, so that the instances of a study that are fetched one by
one still belong together, whichever process answers, and nobody outside can guess whose they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ithil import __version__, error_codes
from ithil.archive import headers, retrieve, transcoding
from ithil.archive.archive import Archive
from ithil.archive.index import tables as t
from ithil.archive.index.statement import Statement
from ithil.archive.model import Attachment
from ithil.edit.apply import apply
from ithil.edit.recipe import PATIENT_NAME, new_secret, parse_anonymization
from ithil.error_codes import CodedError

_NAME = "secret of pseudonyms"
_READ = Statement(sa.select(t.properties.c.value).where(t.properties.c.name == _NAME))


def _insert(insert: Callable[[Any], Any]) -> Any:
    statement = insert(t.properties).values(name=_NAME, value=sa.bindparam("value"))
    return statement.on_conflict_do_nothing(index_elements=["name"])


_INSERT = Statement(_insert(sqlite_insert), postgresql=_insert(postgresql_insert))


def anonymised(archive: Archive, file: Attachment, sop_instance: str, transfer_syntax: str = "") -> bytes:
    """A file without what tells who the patient is (PS3.15 E), maybe in another transfer syntax.

    Raises CodedError (not enough memory) for a file that is too large, PixelError for pixels that cannot be
    transcoded, and what reading and editing a file raises.
    """
    if file.uncompressed_size > transcoding.MAXIMUM_FILE:
        raise CodedError(
            error_codes.NOT_ENOUGH_MEMORY, "The instance is too large to be anonymised", status=413
        )
    recipe = parse_anonymization({}, server=f"Ithil {__version__}").with_encoding(archive.default_encoding)
    recipe = replace(recipe.with_values({PATIENT_NAME: "Anonymized"}), secret=_secret(archive))
    if transfer_syntax:
        content = transcoding.transcoded(archive, file, transfer_syntax)
        return apply(recipe, content, limits=headers.limits(archive), sop_uid=sop_instance)
    return apply(recipe, retrieve.read(archive, file), limits=headers.limits(archive), sop_uid="")


def _secret(archive: Archive) -> str:
    """The secret of this archive, drawn at the first use; of a read-only one a new secret each time."""
    with archive.index.read() as session:
        row = session.one(_READ)
    if row is not None:
        return str(row[0])
    drawn = new_secret()
    if archive.settings.read_only:
        return drawn

    def write(session: Any) -> str:
        session.run(_INSERT, {"value": drawn})
        found = session.one(_READ)
        return str(found[0])

    return str(archive.index.write(write))
