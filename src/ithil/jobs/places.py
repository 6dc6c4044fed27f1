"""What the log says about an exception that nobody foresaw: its type and place, for its words may quote data."""

from __future__ import annotations

from traceback import extract_tb


def place(error: BaseException) -> str:
    """Type of an exception and the innermost three places it passed, in another process if it came from there."""
    known = getattr(error, "place", None)
    if isinstance(known, str):
        return known
    passed = extract_tb(error.__traceback__)[-3:]
    places = " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in passed)
    return f"{type(error).__name__} at {places or 'an unknown place'}"
