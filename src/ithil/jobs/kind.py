"""What a kind of job is to the engine, and what the engine is to a kind of job.

A job is a list of steps. The engine may stop it between two of them (pause, cancel, end of the process) and
run it again later, in this process or in another one, with the same `arguments` and with the `checkpoint` of
its last `save`. So a kind does three things:

- it finds out from `arguments` and `checkpoint` what is left to do, and does that step by step;
- it calls `save` after each step (the engine writes at most a few times a second, so this is cheap);
- it makes its steps such that one which was done, but not saved before a crash, has no second effect when it
  is done again. New UIDs, for instance, derive from the old ones and a secret in `arguments`.

What a job makes known to clients while it runs and afterwards is `content`, under Orthanc's names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ithil.archive.archive import Archive
from ithil.error_codes import CodedError

T = TypeVar("T")
R = TypeVar("R")


class Interrupted(BaseException):
    """Raised by `Task.save` when the job must stop here: paused, cancelled, or its process ends.

    Kinds let it pass; what they have saved is where the job goes on. It is no Exception, so that a kind that
    tolerates failures of single steps does not tolerate this.
    """


class TryLater(Exception):
    """Raised by a kind whose job cannot be done now, but perhaps in `seconds`; `failure` is told meanwhile.

    The job waits in the index, and goes on from its checkpoint in whichever process looks then.
    """

    def __init__(self, seconds: float, failure: CodedError) -> None:
        super().__init__(str(failure))
        self.seconds = seconds
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Output:
    """A file that a job leaves for its client, at `/jobs/{id}/{name}`."""

    name: str
    uuid: str  # in the storage area, where `Task.archive.storage` wrote it
    size: int  # bytes
    media_type: str
    filename: str


class Task(Protocol):
    """One run of one job, as its kind sees it. To be used by the thread that runs the job only."""

    archive: Archive
    id: str
    arguments: dict[str, Any]
    """What was submitted; never changes."""
    checkpoint: dict[str, Any]
    """What the last `save` kept, {} at first. A kind changes it in place and then calls `save`."""
    content: dict[str, Any]
    """What clients see. A kind changes it in place and then calls `save`."""

    def save(self, progress: float, *, now: bool = False) -> None:
        """Keep `checkpoint`, `content` and the progress (0 to 1); `now` writes at once.

        Raises Interrupted when the job must stop here (after writing).
        """

    def add_output(self, output: Output) -> None:
        """Make a file of the storage area an output of this job, at once."""

    def each(self, work: Callable[[T], R], items: Iterable[T], *, ahead: int = 8) -> Iterator[R]:
        """`work` of each item, in their order, computed by all cores (a pool of processes).

        `work` and the items must be picklable (a function of a module); it runs without the archive. Only a
        few items ahead of the consumer are taken from `items`, which bounds the memory. What `work` raises
        is raised here, at its place in the order.
        """


class JobKind(Protocol):
    """One kind of job. Instances hold no state of single jobs."""

    name: str
    """Orthanc's name of the type, such as `ResourceModification`."""

    def run(self, task: Task) -> None:
        """Do what is left to do. Returns when the job is a success.

        Raises CodedError for a failure that clients are told with its code and details, ArchiveError or
        DicomError for what failed below; the engine turns them into codes as the REST API does. TryLater for
        what shall be tried again.
        """
