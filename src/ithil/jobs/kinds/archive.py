"""The jobs that write an archive or a medium into the storage area, for clients that fetch it later.

A ZIP cannot be gone on with in its middle, so an interrupted run begins anew. The file of the run before is in
the checkpoint, and goes first: whatever ended that run, no file without an owner stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from ithil.archive.archive import Archive
from ithil.archive.export.selection import Selection, Totals, select, totals
from ithil.archive.export.stream import Export, Wish
from ithil.archive.storage.local import LocalWriter
from ithil.jobs.kind import Output, Task

ARCHIVE = "Archive"
MEDIA = "Media"

OUTPUT = "archive"
MEDIA_TYPE = "application/zip"
FILENAME = "archive.zip"

_MEGABYTE = 1024 * 1024


def arguments(resources: Sequence[str], wish: Wish, filename: str = "") -> dict[str, Any]:
    """The arguments of a job for these resources; `filename` is how clients should call the ZIP."""
    # PostgreSQL stores no NUL, and the name is only stored when all the work is done.
    return {"Resources": list(resources), "Wish": asdict(wish), "Filename": filename.replace("\0", "")}


def content(archive: Archive, selection: Selection, wish: Wish) -> dict[str, Any]:
    """What clients see of a job before it has begun."""
    shown: dict[str, Any] = {"Description": "REST API", **_sizes("ArchiveSize", 0)}
    if wish.transcode is not None:
        shown["Transcode"] = wish.transcode
        if wish.quality is not None:
            shown["LossyQuality"] = wish.quality
    if wish.utf8:
        shown["Utf8"] = True
    return shown | _counts(totals(archive, selection))


def _counts(total: Totals) -> dict[str, Any]:
    return {"InstancesCount": total.instances, **_sizes("UncompressedSize", total.size)}


def _sizes(name: str, size: int) -> dict[str, Any]:
    """Bytes as text, since they may pass what a double holds, and whole megabytes as a number."""
    return {name: str(size), f"{name}MB": size // _MEGABYTE}


class ArchiveKind:
    """`Archive` or `Media`: the two differ in what was wished, and in their names."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, task: Task) -> None:
        """Write the ZIP and make it the output `archive`."""
        archive = task.archive
        left = task.checkpoint.get("File")
        if left is not None:
            archive.storage.remove(left)
        # What was deleted since the job was submitted is left out like what is deleted while it runs.
        selection = select(archive, task.arguments["Resources"], lenient=True)
        total = totals(archive, selection)
        task.content.update(_counts(total), **_sizes("ArchiveSize", 0))
        # Written down before there is a file, so that a process that dies in between leaves none behind.
        uuid = task.checkpoint["File"] = archive.storage.new_uuid()
        task.save(0.0, now=True)
        writer = archive.storage.writer(uuid)
        try:
            self._write(task, writer, Export(archive, selection, Wish(**task.arguments["Wish"])), total)
            writer.finish()
            filename = task.arguments["Filename"] or FILENAME
            task.add_output(Output(OUTPUT, writer.uuid, writer.size, MEDIA_TYPE, filename))
        except BaseException:
            writer.discard()
            raise

    def _write(self, task: Task, writer: LocalWriter, export: Export, total: Totals) -> None:
        with closing(export.pieces()) as pieces:
            for piece in pieces:
                writer.write(piece)
                task.content.update(_sizes("ArchiveSize", writer.size))
                if export.left_out:
                    task.content["FailedInstancesCount"] = export.left_out
                # More may have arrived than were counted, and the directory is still to come.
                task.save(min(export.done / max(total.instances, 1), 0.99))
