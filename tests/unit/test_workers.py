"""The parent of several workers, each time as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ithil import app, workers

PREAMBLE = r"""
import os, signal, sys, time
from ithil import workers
from ithil.archive.errors import IndexUnavailable

def announce():
    os.write(1, b"%d\n" % os.getpid())
"""

ORDERLY = """
def work():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    announce()
    while True:
        time.sleep(60)
"""


@contextmanager
def running(script: str) -> Iterator[subprocess.Popen[str]]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield parent
    finally:
        parent.kill()
        parent.communicate()


def line(parent: subprocess.Popen[str]) -> str:
    assert parent.stdout is not None
    return parent.stdout.readline()


def assert_gone(worker: int) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_the_parent_keeps_the_number_of_workers_and_stops_them() -> None:
    with running(ORDERLY + "sys.exit(workers.supervise(2, work))") as parent:
        known = [int(line(parent)) for _ in range(2)]
        os.kill(known[0], signal.SIGKILL)
        known[0] = int(line(parent))
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(30) == 0
    for worker in known:
        assert_gone(worker)


def test_at_sighup_all_workers_are_replaced() -> None:
    script = """
counts = iter((3, 1))

def renew():
    count = next(counts)
    os.write(2, b"renewed\\n")
    return count

sys.exit(workers.supervise(2, work, renew))
"""
    with running(ORDERLY + script) as parent:
        workers_before = {int(line(parent)) for _ in range(2)}
        for count in (3, 1):
            parent.send_signal(signal.SIGHUP)
            now = {int(line(parent)) for _ in range(count)}
            assert not now & workers_before
            for worker in workers_before:
                assert_gone(worker)
            workers_before = now
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(30) == 0


def test_a_worker_ignores_sighup() -> None:
    with running(ORDERLY + "sys.exit(workers.supervise(1, work))") as parent:
        worker = int(line(parent))
        os.kill(worker, signal.SIGHUP)
        os.kill(worker, signal.SIGKILL)
        assert int(line(parent)) != worker
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(30) == 0


def test_a_signal_right_after_the_fork_ends_the_worker() -> None:
    script = """
real, forks = os.fork, 0

def fork():
    global forks
    forks += 1
    pid = real()
    if not pid and forks == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    return pid

def work():
    os.write(1, b"fork %d\\n" % forks)
    time.sleep(60)

os.fork = fork
sys.exit(workers.supervise(1, work))
"""
    with running(script) as parent:
        assert line(parent) == "fork 2\n"
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(30) == 0


def test_a_worker_that_does_not_stop_is_killed() -> None:
    script = """
def work():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    announce()
    while True:
        time.sleep(60)

workers.LONGEST_STOP = 0.2
sys.exit(workers.supervise(1, work))
"""
    with running(script) as parent:
        worker = int(line(parent))
        try:
            parent.send_signal(signal.SIGTERM)
            assert parent.wait(10) == 0
            assert_gone(worker)
        except subprocess.TimeoutExpired:
            os.kill(worker, signal.SIGKILL)
            raise


def test_workers_have_the_time_that_the_server_gives_itself_to_stop() -> None:
    assert workers.LONGEST_STOP >= app.STOP_SECONDS + 5


def test_a_child_that_is_no_worker_does_not_disturb() -> None:
    script = """
if not os.fork():
    os._exit(0)  # what process 1 of a container inherits ends like this
sys.exit(workers.supervise(1, work))
"""
    with running(ORDERLY + script) as parent:
        worker = int(line(parent))
        os.kill(worker, signal.SIGKILL)
        line(parent)
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(30) == 0


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        ("IndexUnavailable('the database is away')", "the database is away"),
        ("ValueError('Doe^John')", "ValueError at <string>:"),
    ],
)
def test_the_log_says_why_a_worker_ends_without_quoting_strangers(error: str, logged: str) -> None:
    script = f"""
def work():
    raise {error}

sys.exit(workers.supervise(1, work))
"""
    with running(script) as parent:
        assert parent.stderr is not None
        complaint = parent.stderr.readline()
        assert complaint.startswith("a worker cannot go on: " + logged)
        assert "Doe" not in complaint
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(30) == 0
