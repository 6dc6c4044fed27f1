"""All kinds of jobs that this server can run, by their names.

A process only takes jobs of kinds it knows, so that during an upgrade an old process leaves those of a newer
one alone.
"""

from __future__ import annotations

from ithil.jobs.kind import JobKind

ARCHIVES = ("Archive", "Media")
"""The kinds whose outputs are bounded by `MediaArchiveSize`."""


def kinds() -> dict[str, JobKind]:
    """Every kind by its name. Imports the kinds, which only the engine needs."""
    from ithil.jobs.kinds.archive import ArchiveKind
    from ithil.jobs.kinds.merge import MergeKind
    from ithil.jobs.kinds.modification import ModificationKind
    from ithil.jobs.kinds.query_tags import ForgetQueryTagKind, IndexQueryTagsKind
    from ithil.jobs.kinds.split import SplitKind

    every: tuple[JobKind, ...] = (
        *(ArchiveKind(name) for name in ARCHIVES),
        ModificationKind(),
        SplitKind(),
        MergeKind(),
        IndexQueryTagsKind(),
        ForgetQueryTagKind(),
    )
    return {kind.name: kind for kind in every}
