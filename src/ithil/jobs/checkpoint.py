"""What a job keeps for its next run, as text of the index: the kind's own checkpoint, and how often it was lost.

A job is lost when the process that runs it dies. That is nobody's fault once, but a job that brings down every
process that takes it must not go round for ever. So the engine counts the losses since the last saved step.
"""

from __future__ import annotations

from typing import Any

import orjson

MOST_LOSSES = 3


def pack(kept: dict[str, Any], losses: int = 0) -> str:
    """The text for a kind's checkpoint. Raises TypeError for what is no JSON."""
    return orjson.dumps({"kept": kept, "losses": losses}, option=orjson.OPT_NON_STR_KEYS).decode()


def unpack(text: str) -> tuple[dict[str, Any], int]:
    """The kind's checkpoint, and how often the job was lost since it was saved.

    Raises ValueError for what `pack` has not made.
    """
    value = orjson.loads(text)
    if not isinstance(value, dict):
        raise ValueError("This is no checkpoint of a job")
    kept, losses = ({}, 0) if value == {} else (value.get("kept"), value.get("losses"))
    if not isinstance(kept, dict) or not isinstance(losses, int):
        raise ValueError("This is no checkpoint of a job")
    return kept, losses


def lost(text: str) -> tuple[str, int]:
    """The text after one more loss, and the number of losses, which is the last one for a damaged text."""
    try:
        kept, losses = unpack(text)
    except ValueError:
        return text, MOST_LOSSES
    return pack(kept, losses + 1), losses + 1


def unlost(text: str) -> str:
    """The text with all losses forgotten."""
    try:
        return pack(unpack(text)[0])
    except ValueError:
        return text  # its next run fails again
