"""New identifiers in place of old ones, the same for the same old one wherever it stands.

They are drawn from a secret that a job makes for itself. So instances that are edited one by one, by several
processes, or once more after a crash, agree on every identifier without sharing a table, references inside of
sequences lead where they led before, and nobody without the secret can tell which old one a new one replaces.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid

REGISTERED = "1.2.840.10008."
"""The root of UIDs that the standard itself defines (PS3.6 annex A): they name no instance of anybody."""


def new_uid(secret: bytes, old: str) -> str:
    """The UID that replaces `old`: "2.25." and a UUID as a number (PS3.5 B.2), at most 44 characters.

    Empty ones and those that the standard has registered stay as they are.
    """
    if not old or old.startswith(REGISTERED):
        return old
    return f"2.25.{_uuid(secret, 'uid', old).int}"


def new_patient_id(secret: bytes, old: str) -> str:
    """The PatientID that replaces `old`: a UUID, of 36 characters."""
    return str(_uuid(secret, "patient", old))


def days_to_shift(secret: bytes, patient: str) -> int:
    """By how many days the dates of a patient move into the past: one to ten years."""
    return 365 + _uuid(secret, "days", patient).int % (9 * 365)


def _uuid(secret: bytes, purpose: str, old: str) -> uuid.UUID:
    text = f"{purpose}\0{old}".encode("utf-8", "surrogatepass")
    digest = bytearray(hmac.new(secret, text, hashlib.sha256).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80  # version 8 of RFC 9562: made by a rule of one's own
    digest[8] = digest[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(digest))
