"""The table, on the terminal and in docs/performance.md.

The page is written by people; the command replaces only what stands between its two markers, so that what the
people say about the figures (what bounds one that is not reached) survives the next run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Line

_BEGIN = "<!-- figures: written by python -m benchmarks --write-docs -->"
_END = "<!-- end of figures -->"
_HEAD = ("workload", "Orthanc", "Ithil", "Ithil/Orthanc", "target", "reached")


def table(lines: Sequence[Line]) -> str:
    """The lines as a Markdown table that is also readable as it is."""
    rows = [_HEAD, *(_row(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    rendered = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rendered.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(rendered)


def _row(line: Line) -> tuple[str, ...]:
    figure = line.figure
    ratio = "" if line.ratio is None else f"{line.ratio:.2f}" if line.ratio < 10 else f"{line.ratio:.0f}"
    reached = {None: "", True: "yes", False: "no"}[line.reached]
    target = "" if figure.target is None else str(figure.target)
    return (
        figure.title,
        figure.text(line.orthanc_median),
        figure.text(line.ithil_median),
        ratio,
        target,
        reached,
    )


def page(lines: Sequence[Line], about: Sequence[str], notes: Sequence[str]) -> str:
    """What goes between the markers of the page."""
    parts = ["\n".join(f"- {line}" for line in about), table(lines)]
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes))
    runs = ["Every run, in the order of the rounds:", "", "| workload | Orthanc | Ithil |", "|---|---|---|"]
    for line in lines:
        text = [
            ", ".join(line.figure.text(value) for value in values) for values in (line.orthanc, line.ithil)
        ]
        runs.append(f"| {line.figure.title} | {text[0]} | {text[1]} |")
    parts.append("\n".join(runs))
    return "\n\n".join(parts)


def write_page(path: Path, figures: str) -> None:
    """Replace the figures on the page at ``path``.

    Raises:
        ValueError: the page has lost its markers.
    """
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{path} has lost the markers {_BEGIN} and {_END}")
    path.write_text(f"{before}{begin}\n\n{figures}\n\n{end}{after}", encoding="utf-8")


def write_json(path: Path, lines: Sequence[Line], about: Sequence[str], notes: Sequence[str]) -> None:
    """Keep every value of the run for later reading."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {line.figure.name: {"orthanc": list(line.orthanc), "ithil": list(line.ithil)} for line in lines}
    path.write_text(json.dumps({"about": list(about), "notes": list(notes), "values": values}, indent=2))
