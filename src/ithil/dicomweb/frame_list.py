"""The list of frames in a path (PS3.18 10.1.5), for those who want their bytes and those who want to see them."""

from __future__ import annotations

import re

from ithil import error_codes as codes
from ithil.error_codes import CodedError

MOST_NUMBERS = 1000
"""Frames in one request; the same one may be asked for again and again, so the image does not bound them."""

_NUMBER = re.compile(r" *[0-9]{1,9} *\Z")


def frame_numbers(text: str) -> list[int]:
    """The numbers of a list as they stand there: from 1 on, in any order, maybe with blanks around them.

    Raises CodedError (400) for anything else, and for more than `MOST_NUMBERS`.
    """
    parts = text.split(",", MOST_NUMBERS)
    if len(parts) > MOST_NUMBERS or not all(_NUMBER.match(part) and int(part) > 0 for part in parts):
        raise CodedError(
            codes.BAD_REQUEST,
            f"The frames of a list are numbers from 1 on, at most {MOST_NUMBERS}, separated by commas",
        )
    return [int(part) for part in parts]
