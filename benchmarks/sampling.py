"""Runs Ithil in this process and samples what its threads do; ``benchmarks.profile`` starts it.

A thread of our own looks at every other thread's stack some two hundred times a second. To each stack it
adds the CPU time that its thread has used since the last look, by the thread's own CPU clock, so that a
thread which waits in ``recv`` all day weighs nothing. Two things to know when reading: C functions show as
the line that calls them, and a short burst of work is charged to the line at which the GIL was let go.

SIGUSR2 forgets what was seen so far: the start and the filling of the archive are not what is asked about.
"""

from __future__ import annotations

import runpy
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

_INTERVAL = 0.005  # seconds
_SHOWN = 30

# A frame as file, function and line; the outermost comes first.
_Stack = tuple[tuple[str, str, int], ...]


class Sampler(threading.Thread):
    """Samples all other threads of this process until the process ends."""

    def __init__(self) -> None:
        super().__init__(name="sampler", daemon=True)
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self.cpu: Counter[_Stack] = Counter()
        self.wall: Counter[_Stack] = Counter()
        self.samples = 0
        self.began = time.perf_counter()
        self.began_cpu = time.process_time()

    def run(self) -> None:
        clocks: dict[int, int] = {}
        while True:
            time.sleep(_INTERVAL)
            self.samples += 1
            frames = sys._current_frames()
            for thread in threading.enumerate():
                frame = frames.get(thread.ident or 0)
                if frame is None or thread is self or thread.native_id is None:
                    continue
                now = _cpu_time(thread.native_id)
                stack = _stack(frame)
                self.cpu[stack] += now - clocks.get(thread.native_id, now)
                self.wall[stack] += 1
                clocks[thread.native_id] = now
            del frames

    def report(self) -> str:
        """The tables of what was seen since the last reset."""
        cpu, wall = Counter(dict(self.cpu)), Counter(dict(self.wall))  # as they are now: sampling goes on
        elapsed = time.perf_counter() - self.began
        used = time.process_time() - self.began_cpu
        head = (
            f"{elapsed:.1f} s, {used:.1f} s of CPU in the process, {self.samples} samples;"
            f" {sum(cpu.values()) / 1e9:.1f} s of CPU charged to a stack"
        )
        return "\n\n".join(
            [
                head,
                _table("CPU by function and what it calls", _inclusive(cpu), cpu.total()),
                _table("CPU by line", _leaves(cpu), cpu.total()),
                _table(
                    "Where threads stood, waiting included (100% is one thread)",
                    _leaves(wall),
                    self.samples,
                ),
            ]
        )

    def collapsed(self) -> str:
        """The CPU samples in the format that flame graph tools read, in microseconds."""
        lines = [
            f"{';'.join(f'{function} ({file})' for file, function, _ in stack)} {nanoseconds // 1000}"
            for stack, nanoseconds in dict(self.cpu).items()
            if nanoseconds >= 1000
        ]
        return "\n".join(sorted(lines)) + "\n"


def _cpu_time(native_id: int) -> int:
    """Nanoseconds of CPU that a thread of this process has used; 0 if it has just ended."""
    # Linux makes the clock of a thread out of its id (see CPUCLOCK_PERTHREAD). pthread_getcpuclockid would
    # do the same, but reads freed memory if the thread is gone.
    try:
        return time.clock_gettime_ns((~native_id << 3) | 6)
    except OSError:
        return 0


def _stack(frame: FrameType | None) -> _Stack:
    frames = []
    while frame is not None:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        file = "/".join(Path(code.co_filename).parts[-2:])
        frames.append((file, name, frame.f_lineno))
        frame = frame.f_back
    return tuple(reversed(frames))


def _inclusive(weights: Counter[_Stack]) -> Counter[str]:
    total: Counter[str] = Counter()
    for stack, weight in weights.items():
        for place in {f"{function} ({file})" for file, function, _ in stack}:
            total[place] += weight
    return total


def _leaves(weights: Counter[_Stack]) -> Counter[str]:
    total: Counter[str] = Counter()
    for stack, weight in weights.items():
        file, function, line = stack[-1]
        total[f"{function} ({file}:{line})"] += weight
    return total


def _table(title: str, weights: Counter[str], whole: int) -> str:
    rows: Iterable[str] = (
        f"  {100 * weight / max(1, whole):5.1f}%  {place}"
        for place, weight in weights.most_common(_SHOWN)
        if weight
    )
    return "\n".join([title, *rows])


def _main() -> None:
    results, *arguments = sys.argv[1:]
    sampler = Sampler()
    signal.signal(signal.SIGUSR2, lambda _signal, _frame: sampler.reset())
    sampler.start()
    sys.argv = ["ithil", *arguments]
    try:
        runpy.run_module("ithil", run_name="__main__", alter_sys=True)
    finally:
        Path(f"{results}.txt").write_text(sampler.report(), encoding="utf-8")
        Path(f"{results}.collapsed").write_text(sampler.collapsed(), encoding="utf-8")


if __name__ == "__main__":
    _main()
