"""Optimistic locking: a change of metadata or of an attachment may name the version that it is based on.

A version is a revision, which grows by one with each change, and the MD5 of the content. Whoever names one
changes that very version or nothing. With `CheckRevisions` whoever changes what is there already has to name
one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ithil import error_codes as codes
from ithil.error_codes import CodedError
from ithil.settings import Settings


@dataclass(frozen=True, slots=True)
class Version:
    """What a change is based on; `md5` is "" for an attachment whose MD5 was not computed."""

    revision: int
    md5: str


def require(settings: Settings, expected: Version | None, stored: Version) -> None:
    """Raises CodedError (revision, 409) unless what is stored may be changed by who expects that version."""
    if expected is None:
        if settings.check_revisions:
            raise CodedError(codes.REVISION, 'The header "If-Match" is needed, as "CheckRevisions" is true')
    elif expected != stored:
        raise CodedError(codes.REVISION)


def md5_of(text: str) -> str:
    """The MD5 of a text, in lower-case hex."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
