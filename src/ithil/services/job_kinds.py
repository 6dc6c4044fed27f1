"""The kinds of jobs that talk to other servers; with those of `ithil.jobs.registry`, all there are."""

from __future__ import annotations

from ithil.jobs import registry
from ithil.jobs.kind import JobKind
from ithil.services.commitment_job import CommitmentScpKind
from ithil.services.dicomweb_retrieve_job import RetrieveClientKind
from ithil.services.dicomweb_stow_job import StowClientKind
from ithil.services.get_job import GetKind
from ithil.services.move_job import MoveKind
from ithil.services.peers import PeerStoreKind
from ithil.services.store_job import ModalityStoreKind
from ithil.services.transfer_jobs import PullKind, PushKind


def every_kind() -> dict[str, JobKind]:
    """Every kind of job by its name."""
    here: tuple[JobKind, ...] = (
        ModalityStoreKind(),
        MoveKind(),
        GetKind(),
        PeerStoreKind(),
        PushKind(),
        PullKind(),
        CommitmentScpKind(),
        StowClientKind(),
        RetrieveClientKind(),
    )
    return {**registry.kinds(), **{kind.name: kind for kind in here}}
