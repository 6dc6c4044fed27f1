"""What the DICOM listener supports: SOP classes and transfer syntaxes, as the settings have it."""

from __future__ import annotations

from collections.abc import Callable

from ithil.dicom import uids
from ithil.network.negotiation import Policy
from ithil.services.access import Rights
from ithil.settings import Settings

VERIFICATION = "1.2.840.10008.1.1"


def accepted_transfer_syntaxes(settings: Settings) -> frozenset[str]:
    """The transfer syntaxes in which data sets are stored: the wildcards, then the switches of groups."""
    accepted = set(uids.matching_transfer_syntaxes(settings.accepted_transfer_syntaxes))
    accepted.update(uid for uid in settings.accepted_transfer_syntaxes if not {"*", "?"} & set(uid))
    switches = {
        "Deflated": settings.deflated_transfer_syntax_accepted,
        "Jpeg": settings.jpeg_transfer_syntax_accepted,
        "Jpeg2000": settings.jpeg2000_transfer_syntax_accepted,
        "JpegLossless": settings.jpeg_lossless_transfer_syntax_accepted,
        "Jpip": settings.jpip_transfer_syntax_accepted,
        "Mpeg2": settings.mpeg2_transfer_syntax_accepted,
        "Rle": settings.rle_transfer_syntax_accepted,
        "Mpeg4": settings.mpeg4_transfer_syntax_accepted,
        "H265": settings.h265_transfer_syntax_accepted,
    }
    for group, switch in switches.items():
        if switch is True:
            accepted |= uids.TRANSFER_SYNTAX_GROUPS[group]
        elif switch is False:
            accepted -= uids.TRANSFER_SYNTAX_GROUPS[group]
    return frozenset(accepted)


def storage_filter(settings: Settings) -> Callable[[str], bool]:
    """A function that tells whether instances of a SOP class are stored."""
    wanted, unwanted = settings.accepted_sop_classes, settings.rejected_sop_classes
    known = uids.storage_sop_classes()

    def accepts(sop_class: str) -> bool:
        if unwanted and uids.matches_uid(sop_class, unwanted):
            return False
        if wanted is not None:
            return uids.matches_uid(sop_class, wanted)
        return sop_class in known or (
            settings.unknown_sop_class_accepted and uids.uid_name(sop_class) == sop_class
        )

    return accepts


class Presentation:
    """The negotiation policies for callers with given rights, made once for all associations."""

    def __init__(self, settings: Settings) -> None:
        self._syntaxes = accepted_transfer_syntaxes(settings)
        self._stores = storage_filter(settings)

    def policy(self, rights: Rights) -> Policy:
        """What a caller with these rights can negotiate."""

        def abstract_syntax(uid: str) -> bool:
            if uid == VERIFICATION:
                return rights.echo
            return rights.store and bool(uid) and self._stores(uid)

        def transfer_syntax(sop_class: str, uid: str) -> bool:
            if sop_class == VERIFICATION:
                return uid in _UNCOMPRESSED
            return uid in self._syntaxes

        return Policy(
            accepts_abstract_syntax=abstract_syntax,
            accepts_transfer_syntax=transfer_syntax,
            preferred_transfer_syntaxes=(uids.EXPLICIT_LITTLE,),
        )


_UNCOMPRESSED = (uids.IMPLICIT_LITTLE, uids.EXPLICIT_LITTLE, uids.EXPLICIT_BIG)
