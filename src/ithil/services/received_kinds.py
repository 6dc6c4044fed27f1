"""What is proposed for the instances that a C-GET of ours brings: SOP classes and transfer syntaxes.

An association has 128 presentation contexts, and there are more storage SOP classes than that. So the usual ones
come first, and `AcceptedSopClasses` can name others. Each context has all transfer syntaxes; the provider picks
one for all instances of the class.
"""

from __future__ import annotations

from functools import lru_cache

from ithil.archive.archive import Archive
from ithil.dicom import pydicom_tables, uids
from ithil.settings.acceptance import Acceptance

MOST_CLASSES = 120

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_USUAL = (
    *("2", "4", "1", "7", "6.1", "3.1", "20", "128", "12.1", "12.2", "1.1", "1.2", "1.3"),
    *("2.1", "4.1", "4.3", "3", "6", "130", "128.1", "12.1.1", "12.2.1", "13.1.1", "13.1.2", "13.1.3"),
    *("7.1", "7.2", "7.3", "7.4", "88.11", "88.22", "88.33", "88.34", "88.59", "88.67", "88.50", "88.65"),
    *("104.1", "104.2", "11.1", "11.2", "11.3", "66", "66.1", "66.2", "66.3", "66.4", "66.5", "67"),
    *(
        "481.1",
        "481.2",
        "481.3",
        "481.4",
        "481.5",
        "481.7",
        "481.8",
        "481.9",
        "30",
        "9.1.1",
        "9.1.2",
        "9.1.3",
    ),
    *("77.1.1", "77.1.2", "77.1.3", "77.1.4", "77.1.5.1", "77.1.5.4", "77.1.6", "77.1.1.1", "77.1.4.1"),
    *("4.2", "4.4", "2.2", "5", "9.2.1", "9.3.1", "9.4.1", "88.40", "88.71", "14.1", "14.2", "2.1.1"),
)
"""Storage SOP classes without their common beginning, the most frequent first."""

SYNTAXES = (
    uids.EXPLICIT_LITTLE,
    uids.IMPLICIT_LITTLE,
    *(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)),
    uids.RLE,
    uids.DEFLATED,
    uids.EXPLICIT_BIG,
    *(f"1.2.840.10008.1.2.4.{number}" for number in (100, 102, 103, 104, 105, 106, 107, 108)),
)
"""Transfer syntaxes in the order of preference; the uncompressed ones cost nobody a conversion."""


@lru_cache(maxsize=1)
def _in_order() -> tuple[str, ...]:
    """All storage SOP classes: the usual ones, the other ones of the standard, the retired and private ones."""
    known = uids.storage_sop_classes()
    table = pydicom_tables.uids()
    usual = [_STORAGE + tail for tail in _USUAL if _STORAGE + tail in known]
    current = sorted(uid for uid in known if uid in table and not table[uid][3])
    return tuple(dict.fromkeys([*usual, *current, *sorted(known)]))


def received_contexts(archive: Archive) -> list[tuple[str, tuple[str, ...]]]:
    """The presentation contexts to propose, at most `MOST_CLASSES`."""
    acceptance = Acceptance(archive.settings, archive.runtime)
    accepted = acceptance.transfer_syntaxes()
    syntaxes = tuple(uid for uid in SYNTAXES if uid in accepted) or (uids.IMPLICIT_LITTLE,)
    named = [uid for uid in archive.settings.accepted_sop_classes or () if not set(uid) & {"*", "?"}]
    classes = [uid for uid in dict.fromkeys([*named, *_in_order()]) if acceptance.stores(uid)]
    return [(uid, syntaxes) for uid in classes[:MOST_CLASSES]]
