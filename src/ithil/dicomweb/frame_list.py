"""The list of frames in a path (PS3.18 10.1.5), for those who want their bytes and those who want to see them."""

from __future__ import annotations

import re

from ithil import error_codes as codes
from ithil.error_codes import CodedError

MOST_NUMBERS = 1000
"""Frames in one request; the same one may be asked for again and again, so the image does not bound them."""

_NUMBER = re.compile(r" *-?[0-9]{1,9} *\Z")


def frame_numbers(text: str) -> list[int]:
    """The numbers of a list as they stand there: from 1 on, in any order, maybe with blanks around them.

    Raises CodedError (400) for anything else, and for more than `MOST_NUMBERS`; with Orthanc's codes for what
    is no number and for what is less than 1.
    """
    parts = text.split(",", MOST_NUMBERS)
    if len(parts) > MOST_NUMBERS:
        raise CodedError(codes.BAD_REQUEST, f"A list has {MOST_NUMBERS} frames at most")
    if not all(map(_NUMBER.match, parts)):
        raise CodedError(codes.BAD_FILE_FORMAT, "The frames must be numbers from 1, between commas")
    numbers = list(map(int, parts))
    if min(numbers) < 1:
        raise CodedError(codes.PARAMETER_OUT_OF_RANGE, "The frames are numbered from 1")
    return numbers
