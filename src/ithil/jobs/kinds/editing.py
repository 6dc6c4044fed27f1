"""What the jobs that make new instances of old ones have in common: modification, split and merge.

The list of instances is among the arguments, so the checkpoint is a number. Several instances are on their way
at the same time, since each waits for the disk, but they are counted in their order. One that was stored, but
not counted before a crash, is made once more: its identifiers are drawn from a secret of the job, so the same
instance comes out, and the archive has it already.

Of large instances only the head is edited; the pixel data is copied from file to file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from ithil import error_codes as codes
from ithil.archive import labels, originals, resources, retrieve
from ithil.archive.errors import ArchiveError, IndexUnavailable, ReadOnly, StorageFull, StorageUnavailable
from ithil.archive.ingest import Incoming
from ithil.archive.model import ANONYMIZED_FROM, MODIFIED_FROM, Provenance, StoreResult, StoreStatus
from ithil.archive.originals import Original
from ithil.archive.reconstruct import reconstruct
from ithil.archive.storage import compression
from ithil.archive.transcoding import MAXIMUM_FILE
from ithil.dicom.encoding import ScanLimits
from ithil.dicom.identifiers import public_ids
from ithil.dicom.level import Level
from ithil.dicom.main_tags import (
    MAIN_TAGS,
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
)
from ithil.edit.apply import apply, compiled
from ithil.edit.recipe import IDENTIFIERS
from ithil.edit.tail import ends_with_pixel_data
from ithil.error_codes import CodedError
from ithil.jobs.kind import Task
from ithil.jobs.kinds.edit_arguments import EditArguments
from ithil.jobs.kinds.transcoded import ToTranscode, edit_transcoded, mentioned

AT_ONCE = 4  # instances on their way at the same time
WHOLE = 256 * 1024  # bytes of an instance that is edited as a whole
_DELETED_AT_ONCE = 50
_TRANSCODED_AHEAD = 4  # instances in memory for the pool
_PARENTS = (Level.PATIENT, Level.STUDY, Level.SERIES)
_SYSTEMIC = (IndexUnavailable, StorageFull, StorageUnavailable, ReadOnly)

Made = dict[Level, dict[str, str]]
"""The resources that a job has made, with the one that each was made from, by level."""


Tell = Callable[[Made], None]
"""Told of what is made so far, or surely will be, before each save."""


def run(task: Task, *, instances: bool = False, tell: Tell | None = None) -> Made:
    """Edit what is left to be edited, and bring the books in order. Gives what was made.

    With `instances` the made instances are remembered as well, else only their parents. `tell` is called before
    anything is stored, so that a job which is broken off names what it leaves.
    """
    work = _Work(task, tuple(Level) if instances else _PARENTS, tell)
    phases = (work.edit, work.delete_sources, work.finish)
    for phase in phases[task.checkpoint.get("Phases", 0) :]:
        phase()
        task.checkpoint["Phases"] = task.checkpoint.get("Phases", 0) + 1
        task.save(1.0, now=True)
    return work.made


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An instance on its way: None if it has gone; its edited form if that is made already."""

    original: Original | None
    content: bytes | None = None
    failure: Exception | None = None


_Outcome = tuple[Original | None, StoreResult | Exception]


class _Work:
    def __init__(self, task: Task, levels: tuple[Level, ...], tell: Tell | None = None) -> None:
        self.task = task
        self.tell = tell
        self.archive = task.archive
        self.arguments = EditArguments.from_json(task.arguments)
        self.editor = compiled(self.arguments.recipe)
        kept = task.checkpoint.setdefault("Made", {})
        self.made: Made = {level: kept.setdefault(level.singular, {}) for level in levels}
        settings = self.archive.settings.ithil
        self.limits = ScanLimits(
            maximum_depth=settings.maximum_sequence_depth, maximum_elements=settings.maximum_elements
        )
        self.metadata = ANONYMIZED_FROM if self.arguments.recipe.anonymizes else MODIFIED_FROM
        self.renamed: dict[str, str] = {}
        self.labels: dict[tuple[Level, str], list[str]] = {}

    # -- editing ---------------------------------------------------------------------------------------------

    def edit(self) -> None:
        """Edit the instances that are not counted yet."""
        checkpoint, ids = self.task.checkpoint, self.arguments.instances
        done = checkpoint.setdefault("Done", 0)
        if done >= len(ids):
            return
        self.renamed = self._names_of_all()
        if self.arguments.keep_labels:
            self.labels = self._labels_of_all()
        if self.tell is not None and not self.made[Level.PATIENT]:
            self.tell(self._expected(ids[done:]))
        with closing(self._outcomes(ids[done:])) as outcomes:
            for original, result in outcomes:
                self._count(original, result)
                self.task.save(checkpoint["Done"] / len(ids))

    def _count(self, original: Original | None, result: StoreResult | Exception) -> None:
        checkpoint = self.task.checkpoint
        if isinstance(result, Exception):
            if not self.arguments.permissive or isinstance(result, _SYSTEMIC):
                raise result
            checkpoint["Failed"] = checkpoint.get("Failed", 0) + 1
            self.task.content["FailedInstancesCount"] = checkpoint["Failed"]
        elif original is not None:
            ids = _ids(result)
            for level, made in self.made.items():
                made.setdefault(ids[level], original.ids[level])
            if self.tell is not None:
                self.tell(self.made)
        checkpoint["Done"] += 1

    def _expected(self, ids: Sequence[str]) -> Made:
        """What the first instance that is still there will belong to; nothing is stored yet."""
        found = (originals.original(self.archive, each) for each in ids)
        original = next((each for each in found if each is not None), None)
        if original is None:
            return {level: {} for level in Level}
        made = self._ids_of(original)
        return {level: {made[level]: original.ids[level]} for level in Level}

    def _outcomes(self, ids: Sequence[str]) -> Generator[_Outcome, None, None]:
        """What became of each instance, in their order; `AT_ONCE` of them are on their way."""
        waiting: deque[tuple[_Prepared, Future[StoreResult]]] = deque()
        with ThreadPoolExecutor(AT_ONCE, "edit") as threads:
            try:
                for prepared in self._prepared(ids):
                    waiting.append((prepared, threads.submit(self._stored, prepared)))
                    if len(waiting) >= AT_ONCE:
                        yield _outcome(*waiting.popleft())
                while waiting:
                    yield _outcome(*waiting.popleft())
            finally:
                for _, future in waiting:
                    future.cancel()

    def _prepared(self, ids: Sequence[str]) -> Iterator[_Prepared]:
        """Each instance, with its edited form if the pool makes that because of its pixels."""
        if not self.arguments.transcode:
            for each in ids:
                yield _Prepared(originals.original(self.archive, each))
            return
        position = 0
        while position < len(ids):
            taken: deque[_Prepared] = deque()
            items = self._to_transcode(ids[position:], taken)
            try:
                for edited in self.task.each(edit_transcoded, items, ahead=_TRANSCODED_AHEAD):
                    position += 1
                    yield _with(taken.popleft(), edited)
            except CodedError as error:
                # A process died of this one; the others are begun anew.
                position += 1
                yield _Prepared(taken.popleft().original, failure=error)

    def _to_transcode(self, ids: Sequence[str], taken: deque[_Prepared]) -> Iterator[ToTranscode]:
        arguments, archive = self.arguments, self.archive
        quality = arguments.quality or archive.settings.dicom_lossy_transcoding_quality
        recipe = arguments.recipe.to_json()
        for each in ids:
            original = originals.original(archive, each)
            file, sop_uid, failure = b"", "", None
            if original is not None:
                sop_uid = original.sop_uid
                try:
                    file = self._whole(original)
                except (ArchiveError, CodedError) as error:
                    failure = error
            taken.append(_Prepared(original, failure=failure))
            names = mentioned(file, self.renamed)
            yield ToTranscode(recipe, names, file, sop_uid, arguments.transcode, quality, self.limits)

    def _whole(self, original: Original) -> bytes:
        if original.file.uncompressed_size > MAXIMUM_FILE:
            raise CodedError(codes.NOT_ENOUGH_MEMORY, "An instance is too large to be transcoded")
        return retrieve.read(self.archive, original.file)

    def _stored(self, prepared: _Prepared) -> StoreResult:
        """Edit, unless that is done, and store one instance. In a thread of its own."""
        original = prepared.original
        if original is None:
            raise CodedError(codes.INEXISTENT_ITEM, "An instance was removed after the job was submitted")
        if prepared.failure is not None:
            raise prepared.failure
        # What keeps its identity is meant to take the place of what has it.
        renews = self.arguments.recipe.renews(SOP_INSTANCE_UID)
        result = self._store(original, prepared.content, "Never" if renews else "IfChanged")
        if renews and result.status is StoreStatus.ALREADY_STORED:
            self._check_same(original, result)
        made = _ids(result)
        for level in Level:
            words = self.labels.get((level, original.ids[level]))
            if words and made[level] != original.ids[level]:
                labels.add(self.archive, level, made[level], *words)
        return result

    def _store(self, original: Original, content: bytes | None, overwrite: str) -> StoreResult:
        incoming = Incoming(
            self.archive,
            self.arguments.origin,
            provenance=Provenance(self.metadata, original.ids),
            overwrite=overwrite,
            keep_syntax=bool(self.arguments.transcode),
        )
        try:
            if content is not None:
                incoming.write(content)
            else:
                for piece in self._pieces(original):
                    incoming.write(piece)
            return incoming.accept()
        finally:
            incoming.discard()

    def _check_same(self, original: Original, result: StoreResult) -> None:
        """What is there already must be what an earlier run of this job has stored."""
        there = resources.read(self.archive, Level.INSTANCE, result.instance)
        source = None if there is None else there.metadata.get(self.metadata)
        if source is None or source.value != original.ids[Level.INSTANCE]:
            raise CodedError(
                codes.CANNOT_STORE_INSTANCE, "Another instance has the identifiers of an edited one already"
            )

    def _pieces(self, original: Original) -> Iterator[bytes]:
        """The edited form of an instance."""
        archive, editor = self.archive, self.editor
        file, offset = original.file, original.pixel_data_offset
        if offset is not None and file.uncompressed_size > WHOLE and file.compression == compression.NONE:
            with archive.storage.open(file.uuid) as stored:
                if stored.size == file.uncompressed_size:
                    with stored.view() as view:
                        apart = ends_with_pixel_data(view, offset, stored.size, self.limits)
                    if apart:
                        head = stored.read(0, offset)
                        yield apply(editor, head, self.renamed, head_only=True, limits=self.limits)
                        for start in range(offset, stored.size, retrieve.PIECE):
                            yield stored.read(start, start + retrieve.PIECE)
                        return
        yield apply(editor, retrieve.read(archive, file), self.renamed, limits=self.limits)

    # -- what is the same for all instances --------------------------------------------------------------------

    def _names_of_all(self) -> dict[str, str]:
        """What becomes of the UIDs of the studies, series and instances that are edited together.

        Empty where every UID anywhere is renamed by the same rule, and so needs no list.
        """
        recipe = self.arguments.recipe
        by_rule = recipe.anonymizes and "RetainUIDs" not in recipe.options
        if by_rule and all(recipe.renews(tag) for tag in IDENTIFIERS):
            return {}
        names: dict[str, str] = {}
        made: set[str] = set()
        for each in self.arguments.instances:
            original = originals.original(self.archive, each)
            if original is not None:
                new = self._made_of(original)
                if new in made and not self.arguments.keep_source:
                    # One would take the place of the other, and then both sources be deleted.
                    raise CodedError(
                        codes.CANNOT_STORE_INSTANCE, "Several instances would get the same identifiers"
                    )
                made.add(new)
                for tag, old in (
                    (STUDY_INSTANCE_UID, original.study_uid),
                    (SERIES_INSTANCE_UID, original.series_uid),
                    (SOP_INSTANCE_UID, original.sop_uid),
                ):
                    names[old] = self.editor.new_identifier(tag, old)
        return names

    def _labels_of_all(self) -> dict[tuple[Level, str], list[str]]:
        parents: dict[Level, set[str]] = {level: set() for level in _PARENTS}
        for each in self.arguments.instances:
            original = originals.original(self.archive, each)
            if original is not None:
                for level, ids in parents.items():
                    ids.add(original.ids[level])
        of_level: dict[Level, list[str]] = {level: sorted(ids) for level, ids in parents.items()}
        of_level[Level.INSTANCE] = self.arguments.instances
        return {
            (level, resource.id): resource.labels
            for level, ids in of_level.items()
            for start in range(0, len(ids), 500)
            for resource in resources.read_many(self.archive, level, ids[start : start + 500])
            if resource.labels
        }

    # -- afterwards ------------------------------------------------------------------------------------------

    def delete_sources(self) -> None:
        """Delete the instances, if they are not to be kept and all went well."""
        if self.arguments.keep_source or self.task.checkpoint.get("Failed"):
            return
        ids = self.arguments.instances
        for start in range(0, len(ids), _DELETED_AT_ONCE):
            gone = [each for each in ids[start : start + _DELETED_AT_ONCE] if not self._is_in_place(each)]
            originals.delete_instances(self.archive, gone)
            self.task.save(1.0)

    def _is_in_place(self, instance: str) -> bool:
        """Whether the edited form of an instance has taken its place."""
        original = originals.original(self.archive, instance)
        return original is not None and self._made_of(original) == instance

    def _made_of(self, original: Original) -> str:
        """The public id of the edited form of an instance."""
        return self._ids_of(original)[Level.INSTANCE]

    def _ids_of(self, original: Original) -> tuple[str, str, str, str]:
        """The public ids of the edited form of an instance and of its parents."""
        new = self.editor.new_identifier
        return public_ids(
            new(PATIENT_ID, original.patient_id),
            new(STUDY_INSTANCE_UID, original.study_uid),
            new(SERIES_INSTANCE_UID, original.series_uid),
            new(SOP_INSTANCE_UID, original.sop_uid),
        )

    def finish(self) -> None:
        """Bring the rows of parents that were edited in place in order, and log what was made."""
        recipe, level = self.arguments.recipe, self.arguments.level
        kind = "Anonymized" if recipe.anonymizes else "Modified"
        changes: list[tuple[str, Level, str]] = []
        for at in reversed(_PARENTS):
            for made, source in self.made[at].items():
                in_place = made == source
                if in_place and (at >= level or recipe.touches(frozenset(MAIN_TAGS[at]))):
                    self._reconstruct(at, made)
                if not in_place or at >= level:
                    changes.append((f"{kind}{at.singular}", at, made))
        for start in range(0, len(changes), 500):
            originals.tell_once(self.archive, changes[start : start + 500], self.arguments.submitted)

    def _reconstruct(self, level: Level, public_id: str) -> None:
        try:
            reconstruct(self.archive, level, public_id, this_level_only=True)
        except CodedError as error:
            if error.code != codes.UNKNOWN_RESOURCE:  # it was deleted meanwhile
                raise


def _ids(result: StoreResult) -> tuple[str, str, str, str]:
    return result.patient, result.study, result.series, result.instance


def _with(prepared: _Prepared, edited: bytes | CodedError) -> _Prepared:
    if prepared.failure is not None:
        return prepared
    if isinstance(edited, CodedError):
        return _Prepared(prepared.original, failure=edited)
    return _Prepared(prepared.original, content=edited)


def _outcome(prepared: _Prepared, stored: Future[StoreResult]) -> _Outcome:
    try:
        return prepared.original, stored.result()
    except Exception as error:  # told as the failure of the instance, or of the job
        return prepared.original, error
