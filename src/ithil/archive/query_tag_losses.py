"""Studies and series that have lost the value of a query tag with an instance get that of another one.

Done by a sweep, for the headers of the others have to be read for it: maybe of all, if no other has a value. It goes
on where it ended, a few files a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ithil.archive import clock, query_tags
from ithil.archive.archive import Archive
from ithil.archive.errors import StorageUnavailable
from ithil.archive.index import query_tag_losses as rows
from ithil.archive.index import query_tags as tag_rows
from ithil.archive.index import sweeps
from ithil.archive.index.query_tag_losses import Loss
from ithil.archive.index.query_tags import QueryTag, Value
from ithil.archive.index.statement import Session
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.dicom.level import Level

LOSSES = 128  # a step
FILES = 20  # of one resource that are looked at in a step
_LEASE_SECONDS = 60.0


def make_good(archive: Archive, owner: str) -> bool:
    """Do a step of it, if no other process is at it; whether more can be done at once.

    `owner` is the name of this process among all. Raises IndexUnavailable, StorageUnavailable.
    """
    with archive.index.read() as session:
        losses = rows.page(session, LOSSES)
    seconds, _ = clock.now()
    if not losses or not archive.index.write(
        lambda session: sweeps.take_lease(session, "query-tags", owner, seconds, _LEASE_SECONDS)
    ):
        return False
    with archive.index.read() as session:
        tags = {tag.key: tag for tag in tag_rows.all_tags(session)}
        ready = [
            loss for loss in losses if loss.writers and not tag_rows.writers_before(session, loss.writers)
        ]
    over = [loss for loss in losses if loss.is_made_good or loss.tag not in tags]
    new = [loss for loss in losses if not loss.writers and loss not in over]

    def work(session: Session) -> None:
        rows.close(session, over)
        rows.begin(session, new)

    if over or new:
        archive.index.write(work)
    more = bool(over or new)
    ready = [loss for loss in ready if loss not in over]
    failure: StorageUnavailable | None = None
    for _, group in groupby(ready, lambda loss: (loss.level, loss.resource, loss.after)):
        try:
            more = _look(archive, list(group), tags) or more
        except StorageUnavailable as error:
            failure = failure or error  # the others must not wait for it
    if failure is not None:
        raise failure
    return more


def _look(archive: Archive, losses: Sequence[Loss], tags: dict[int, QueryTag]) -> bool:
    """Look for the values that one resource has lost in some of its instances; whether to go on at once."""
    wanted = {loss.tag: loss for loss in losses}
    found: list[tuple[Sequence[int], list[Value]]] = []
    with archive.index.read() as session:
        page = rows.instances(session, losses[0], FILES)
    for *ids, pixel_data_offset, uuid, compression, stored_size, stored_md5, size, md5 in page:
        file = Attachment(DICOM_FILE, uuid, compression, stored_size, stored_md5, size, md5)
        missing = [tags[key] for key in wanted]
        values = [
            value for value in query_tags.of_stored(archive, file, pixel_data_offset, missing) if value.rows
        ]
        if values:
            found.append((ids, values))
            wanted = {key: loss for key, loss in wanted.items() if key not in {one.tag.key for one in values}}
        if not wanted:
            break
    nowhere = list(wanted.values())
    is_last = len(page) < FILES

    def work(session: Session) -> None:
        there = tag_rows.hold(session, [ids[Level.INSTANCE] for ids, _ in found])
        now, _ = clock.now()
        for ids, values in found:
            if ids[Level.INSTANCE] in there:  # or else the loss stays as it is, and another one is looked for
                tag_rows.put(session, values, ids, now)
                keys = {value.tag.key for value in values}
                rows.close(session, [loss for loss in losses if loss.tag in keys])
        if is_last:
            rows.close(session, nowhere)
        else:
            rows.looked(session, nowhere, page[-1][Level.INSTANCE])

    archive.index.write(work)
    return bool(found) or not is_last
