"""Kinds of jobs for tests. What a step does, it does as a line of a file, so that one done twice shows."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.jobs.kind import JobKind, Output, Task, TryLater


class Steps:
    """`count` steps that take `seconds` each; step n does what it does under a name that derives from n."""

    name = "Steps"

    def run(self, task: Task) -> None:
        count = task.arguments["count"]
        for number in range(task.checkpoint.get("done", 0), count):
            time.sleep(task.arguments.get("seconds", 0.0))
            _effect(task, number)
            task.checkpoint["done"] = number + 1
            task.content["Done"] = number + 1
            task.save((number + 1) / count, now=task.arguments.get("at_once", False))


def _effect(task: Task, number: int) -> None:
    """A line in the file of the effects, and a file that exists once however often this is called."""
    folder = Path(task.arguments["folder"])
    with open(folder / "tried", "a") as tried:
        tried.write(f"{number} {os.getpid()}\n")
    (folder / f"effect-{number}").touch()


class Gated:
    """A job whose steps wait until the test lets them go on; `started` tells that it runs."""

    name = "Gated"

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.order: list[str] = []

    def run(self, task: Task) -> None:
        self.order.append(str(task.content.get("Label", task.id)))
        self.started.release()
        for number in range(task.checkpoint.get("done", 0), task.arguments.get("count", 1)):
            assert self.gate.acquire(timeout=60)
            task.checkpoint["done"] = number + 1
            task.content["Done"] = number + 1
            task.save((number + 1) / task.arguments.get("count", 1), now=True)


class Failing:
    """Fails as `how` says."""

    name = "Failing"

    def run(self, task: Task) -> None:
        match task.arguments["how"]:
            case "coded":
                raise CodedError(codes.INEXISTENT_ITEM, "The study is not there")
            case "surprise":
                raise RuntimeError("Doe^John")
            case "content":
                task.content["What"] = object()
                task.save(0.5, now=True)


class Patient:
    """Succeeds at the try number `tries`, and waits `seconds` after each one before."""

    name = "Patient"

    def run(self, task: Task) -> None:
        tried = task.checkpoint.get("tried", 0) + 1
        task.checkpoint["tried"] = task.content["Tried"] = tried
        if tried < task.arguments["tries"]:
            raise TryLater(
                task.arguments["seconds"], CodedError(codes.NETWORK_PROTOCOL, "The modality is away")
            )


class Leaving:
    """Leaves `files` of (name, text) for the client."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, task: Task) -> None:
        for name, text in task.arguments["files"]:
            writer = task.archive.storage.writer()
            writer.write(text.encode())
            writer.finish()
            task.add_output(Output(name, writer.uuid, writer.size, "application/zip", f"{name}.zip"))


class Computing:
    """Doubles the numbers in `items` in the pool of processes."""

    name = "Computing"

    def run(self, task: Task) -> None:
        task.content["Results"] = []
        for result in task.each(compute, task.arguments["items"]):
            task.content["Results"].append(result)
            task.save(0.5)


def compute(item: Any) -> Any:
    """What `Computing` does in another process."""
    match item:
        case "process":
            return os.getpid()
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "refuse":
            raise CodedError(codes.BAD_FILE_FORMAT, "No such picture")
        case "odd":
            raise Odd(lambda: None)
        case "slow":
            time.sleep(60)
        case "nice":
            return os.nice(0)
    return item * 2


class Scripted:
    """Does what the test's functions do, one after the other."""

    name = "Scripted"

    def __init__(self) -> None:
        self.script: list[Callable[[Task], None]] = []

    def run(self, task: Task) -> None:
        for act in self.script:
            act(task)


class Deadly:
    """Brings its process down."""

    name = "Deadly"

    def run(self, task: Task) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Odd(Exception):
    """An exception that cannot be sent from one process to another."""

    def __init__(self, what: Callable[[], None]) -> None:
        super().__init__(what)


def kinds(*others: JobKind) -> dict[str, JobKind]:
    """All of them, and `others`."""
    every: tuple[JobKind, ...] = (
        *(Steps(), Gated(), Failing(), Leaving("Archive"), Leaving("Leaving"), Computing()),
        Patient(),
        *others,
    )
    return {kind.name: kind for kind in every}
