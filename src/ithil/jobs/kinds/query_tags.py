"""The jobs behind query tags: one looks at what was stored before a declaration, one removes what is left of it.

The first goes through all instances in the order of their internal ids, a batch a step. Every instance that is stored
after the declaration brings its own values (see `archive/index/query_tags.py`), so one walk is enough, and a batch
that is done twice changes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ithil import error_codes as codes
from ithil.archive import clock, query_tags
from ithil.archive.archive import Archive
from ithil.archive.errors import IndexUnavailable, ReadOnly, StorageUnavailable
from ithil.archive.index import jobs as job_rows
from ithil.archive.index import query_tags as rows
from ithil.archive.index.query_tags import QueryTag
from ithil.archive.index.statement import Session
from ithil.archive.model import DICOM_FILE, Attachment
from ithil.error_codes import CodedError
from ithil.jobs import notices, queue
from ithil.jobs.kind import Task

log = logging.getLogger(__name__)

INDEX = "IndexQueryTags"
FORGET = "ForgetQueryTag"

BATCH = 100  # instances a transaction
_FORGET_BATCH = 5000  # values a transaction
_PATIENCE = 0.05  # seconds between two looks whether older transactions are over
_PAUSE = 1.0  # seconds until a batch is tried again whose files or rows could not be reached
_PAUSES = 600  # how often in a row, before the job is a failure


def declare(archive: Archive, tags: Sequence[QueryTag]) -> str:
    """Declare tags and have what is stored looked at; gives the id of that job, which is durable then.

    A tag whose job has ended before it was ready is looked for anew.

    Raises CodedError (duplicate, bad request), ReadOnly, IndexUnavailable; nothing is declared then.
    """
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    content = {**_content([tag.name for tag in tags]), "Description": "Index query tags"}
    job = queue.prepared(INDEX, {}, content=content)

    def work(session: Session) -> None:
        query_tags.declare(session, [replace(tag, operation=job.id) for tag in tags], clock.now()[0])
        job_rows.insert(session, job)

    archive.index.write(work)
    query_tags.refresh(archive)
    notices.of(archive).stir()
    return job.id


def take_back(archive: Archive, tag: QueryTag) -> None:
    """End a declaration at once; a job removes its values. Raises CodedError (unknown resource), ReadOnly."""
    if archive.settings.read_only:
        raise ReadOnly("The archive is read-only")
    content = {**_content([tag.name]), "Description": "Remove a query tag"}
    job = queue.prepared(FORGET, {"Key": tag.key}, content=content)

    def work(session: Session) -> None:
        if not rows.delete(session, tag.name):
            raise CodedError(codes.UNKNOWN_RESOURCE, "This tag is not declared as a query tag")
        job_rows.insert(session, job)

    archive.index.write(work)
    query_tags.refresh(archive)
    notices.of(archive).stir()


def _content(names: list[str]) -> dict[str, Any]:
    return {"Tags": names}


class IndexQueryTagsKind:
    """Keeps the values of all stored instances in the tags whose operation the job is."""

    name = INDEX

    def run(self, task: Task) -> None:
        """Look at what is left, then call the tags ready."""
        archive, kept = task.archive, task.checkpoint
        if "Last" not in kept:
            self._wait_for_older_transactions(task)
            with archive.index.read() as session:
                kept["Last"] = rows.last_instance(session)
                kept["Total"] = rows.count_instances(session)
            kept["After"] = kept["Done"] = 0
            task.save(0.0, now=True)
        while self._batch_patiently(task):
            task.content["InstancesCount"] = kept["Done"]
            task.save(min(kept["Done"] / max(kept["Total"], 1), 0.99))
        archive.index.write(lambda session: rows.set_ready(session, task.id))

    def _batch_patiently(self, task: Task) -> bool:
        """Look at a batch; a storage or a database that is away for minutes does not end the whole walk."""
        for _ in range(_PAUSES):
            try:
                return self._batch(task)
            except (StorageUnavailable, IndexUnavailable) as error:
                log.warning("Query tags are not indexed at the moment: %s", error)
            time.sleep(_PAUSE)
            task.save(min(task.checkpoint["Done"] / max(task.checkpoint["Total"], 1), 0.99))
        return self._batch(task)

    def _batch(self, task: Task) -> bool:
        """Look at a batch; False if nothing is left to be done."""
        archive, kept = task.archive, task.checkpoint
        with archive.index.read() as session:
            tags = [tag for tag in rows.all_tags(session) if tag.operation == task.id]
            page = rows.page(session, kept["After"], kept["Last"], BATCH)
        if not page or not tags:
            return False
        self._keep(archive, tags, page)
        kept["After"] = page[-1][3]
        kept["Done"] += len(page)
        return True

    def _wait_for_older_transactions(self, task: Task) -> None:
        """Until nobody can still add an instance that knows nothing of the declaration."""
        with task.archive.index.read() as session:
            number = rows.next_writer(session)
        while True:
            with task.archive.index.read() as session:
                if not rows.writers_before(session, number):
                    return
            task.save(0.0)
            time.sleep(_PATIENCE)

    def _keep(self, archive: Archive, tags: Sequence[QueryTag], page: Sequence[Any]) -> None:
        found = []
        for *ids, pixel_data_offset, uuid, compression, stored_size, stored_md5, size, md5 in page:
            file = Attachment(DICOM_FILE, uuid, compression, stored_size, stored_md5, size, md5)
            found.append((ids, query_tags.of_stored(archive, file, pixel_data_offset, tags)))

        def work(session: Session) -> None:
            there = rows.hold(session, [ids[-1] for ids, _ in found])
            declared = {tag.key for tag in rows.all_tags(session)}
            now, _ = clock.now()
            for ids, values in found:
                if ids[-1] in there:
                    rows.put(session, (value for value in values if value.tag.key in declared), ids, now)

        archive.index.write(work)


class ForgetQueryTagKind:
    """Removes the values of a tag that is not declared any more."""

    name = FORGET

    def run(self, task: Task) -> None:
        """Remove what is left, a batch a step."""
        key = task.arguments["Key"]
        while task.archive.index.write(lambda session: rows.forget_values(session, key, _FORGET_BATCH)):
            task.save(0.0)
