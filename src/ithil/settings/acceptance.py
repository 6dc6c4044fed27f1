"""What is accepted by DICOM: transfer syntaxes and SOP classes, as the settings and the operator have it."""

from __future__ import annotations

from ithil.dicom import uids
from ithil.settings.model import Settings
from ithil.settings.runtime import Runtime


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


class Acceptance:
    """The answer to what is accepted at the moment; what an operator sets in `runtime` wins."""

    def __init__(self, settings: Settings, runtime: Runtime | None = None) -> None:
        self._settings = settings
        self._runtime = runtime
        self._configured = accepted_transfer_syntaxes(settings)
        self._known = uids.storage_sop_classes()

    def transfer_syntaxes(self) -> frozenset[str]:
        """The transfer syntaxes in which data sets are stored."""
        chosen = self._runtime.values.accepted_transfer_syntaxes if self._runtime is not None else None
        return self._configured if chosen is None else frozenset(chosen)

    def unknown_sop_classes(self) -> bool:
        """Whether instances of SOP classes that nobody knows are stored."""
        chosen = self._runtime.values.unknown_sop_class_accepted if self._runtime is not None else None
        return self._settings.unknown_sop_class_accepted if chosen is None else chosen

    def stores(self, sop_class: str) -> bool:
        """Whether instances of a SOP class are stored."""
        wanted, unwanted = self._settings.accepted_sop_classes, self._settings.rejected_sop_classes
        if unwanted and uids.matches_uid(sop_class, unwanted):
            return False
        if wanted is not None:
            return uids.matches_uid(sop_class, wanted)
        if sop_class in self._known:
            return True
        return self.unknown_sop_classes() and uids.uid_name(sop_class) == sop_class

    def sop_classes(self) -> list[str]:
        """The known storage SOP classes that are stored, sorted."""
        return sorted(uid for uid in self._known if self.stores(uid))
