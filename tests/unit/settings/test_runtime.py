"""Values that hold for all processes of a host until the server stops."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from functools import partial

import pytest

from ithil.settings.runtime import SIZE, Runtime, RuntimeValues, TooLarge


def test_at_first_the_configuration_decides() -> None:
    assert Runtime().values == RuntimeValues()


def test_changes_are_seen_and_told_by_the_version() -> None:
    runtime = Runtime()
    before = runtime.version
    runtime.change(default_encoding="Utf8")
    runtime.change(accepted_transfer_syntaxes=("1.2", "1.3"), metrics=False)
    assert runtime.version > before
    assert runtime.values == RuntimeValues(
        default_encoding="Utf8", accepted_transfer_syntaxes=("1.2", "1.3"), metrics=False
    )
    runtime.reset()
    assert runtime.values == RuntimeValues()


def test_other_processes_see_them() -> None:
    runtime = Runtime()
    assert runtime.values.default_encoding is None
    child = os.fork()
    if not child:
        runtime.change(default_encoding="Cyrillic")
        os._exit(0)
    os.waitpid(child, 0)
    assert runtime.values.default_encoding == "Cyrillic"


def test_what_does_not_fit_changes_nothing() -> None:
    runtime = Runtime()
    runtime.change(default_encoding="Utf8")
    with pytest.raises(TooLarge):
        runtime.change(default_encoding="x" * SIZE)
    assert runtime.values.default_encoding == "Utf8"


def test_nobody_reads_half_of_a_change() -> None:
    """Many changes from several threads and a process, while others read."""
    runtime = Runtime()
    syntaxes = [tuple(f"1.2.{n}.{k}" for k in range(n)) for n in (1, 60)]
    torn: list[object] = []
    done = threading.Event()

    def write(count: int) -> None:
        for number in range(count):
            runtime.update(partial(replace, accepted_transfer_syntaxes=syntaxes[number % 2]))

    def read() -> None:
        while not done.is_set():
            found = runtime.values.accepted_transfer_syntaxes
            if found is not None and found not in syntaxes:
                torn.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    child = os.fork()
    if not child:
        write(200)
        os._exit(0)
    write(200)
    os.waitpid(child, 0)
    done.set()
    reader.join()
    assert not torn
    assert runtime.version == 400
