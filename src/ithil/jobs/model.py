"""A job as everybody but its own kind sees it: its state, its times, how far it is and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a job stands; the words are Orthanc's."""

    PENDING = "Pending"
    RUNNING = "Running"
    PAUSED = "Paused"
    RETRY = "Retry"
    """It could not be done, and will be tried again after some time."""
    SUCCESS = "Success"
    FAILURE = "Failure"


CANCEL, PAUSE = "cancel", "pause"
"""What a client can wish of a job that runs."""

FINISHED = (State.SUCCESS, State.FAILURE)


@dataclass(frozen=True, slots=True)
class Job:
    """One job at one moment. Times are in seconds since 1970."""

    id: str
    type: str
    state: State
    priority: int
    created_at: float
    changed_at: float
    completed_at: float | None
    runtime: float  # seconds spent running, without what the present run adds since `changed_at`
    progress: float  # 0 to 1
    content: dict[str, Any]
    error_code: int
    error_details: str
    error_payload: Any  # what else the kind tells clients about a failure, None for nothing
    user_data: Any  # None if the client gave none

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in FINISHED
