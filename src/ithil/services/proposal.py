"""What to propose to a receiver for what is to be sent to him, and how to send under what he accepted.

Each kind of instance (SOP class and transfer syntax) gets a presentation context of its own, since the acceptor
picks one transfer syntax of those in a context, and would pick another. Where transcoding can help, the class
gets one more with the uncompressed syntaxes, one of which every application must know (PS3.5 10.1).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ithil.archive.outgoing import Kind
from ithil.dicom.uids import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from ithil.network.association import PresentationContext
from ithil.pixels.syntaxes import LOSSY_METHODS, NATIVE, TARGETS, is_video

MOST_CONTEXTS = 128
"""Presentation contexts have odd numbers of one byte (PS3.8 9.3.2.2)."""

_READABLE = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)

ProposedContexts = list[tuple[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What may become of instances that the receiver does not accept as they are.

    Uncompressed ones can always be sent in another uncompressed transfer syntax, which loses nothing and costs
    little. With `transcode`, compressed ones are sent in `preferred` or uncompressed. Never is a coding used
    that loses something, since that would make other instances of them.
    """

    transcode: bool = True
    preferred: str = EXPLICIT_LITTLE

    def targets(self, transfer_syntax: str) -> tuple[str, ...]:
        """The transfer syntaxes that an instance can be sent in, the best first."""
        recode = self.may_recode(transfer_syntax)
        usable = [transfer_syntax]
        if recode and self.preferred in _LOSSLESS:
            usable.append(self.preferred)
        if recode or transfer_syntax in NATIVE:
            usable += [self._preferred_native, *_READABLE, EXPLICIT_BIG]
        return tuple(dict.fromkeys(usable))

    def may_recode(self, transfer_syntax: str) -> bool:
        """Whether the pixels of such an instance may be decoded or encoded."""
        return self.transcode and not is_video(transfer_syntax)

    @property
    def _preferred_native(self) -> str:
        return self.preferred if self.preferred in NATIVE else EXPLICIT_LITTLE


_LOSSLESS = TARGETS - NATIVE - frozenset(LOSSY_METHODS)


def contexts_for(kinds: Collection[Kind], conversion: Conversion) -> ProposedContexts:
    """The presentation contexts to propose, which may be more than an association can have."""
    syntaxes: dict[str, list[str]] = {}
    for sop_class, transfer_syntax in sorted(kinds):
        syntaxes.setdefault(sop_class, []).append(transfer_syntax)
    proposed: ProposedContexts = []
    for sop_class, own in syntaxes.items():
        proposed += [(sop_class, (one,)) for one in own]
        others = [
            target
            for one in own
            for target in conversion.targets(one)
            if target not in own and target != EXPLICIT_BIG
        ]
        compressed = dict.fromkeys(one for one in others if one not in NATIVE)
        native = dict.fromkeys(one for one in others if one in NATIVE)
        proposed += [(sop_class, (one,)) for one in compressed]
        if native:
            proposed.append((sop_class, tuple(native)))
    return proposed


def choose(
    contexts: Iterable[PresentationContext], kind: Kind, conversion: Conversion
) -> PresentationContext | None:
    """The accepted context to send an instance of this kind in, None if there is none."""
    accepted = {
        context.transfer_syntax: context
        for context in contexts
        if context.abstract_syntax == kind[0] and context.local_scu
    }
    if not accepted:
        return None
    # A caller of C-GET may have proposed nothing but a compressed transfer syntax.
    others = sorted(accepted.keys() & _LOSSLESS) if conversion.may_recode(kind[1]) else []
    return next((accepted[one] for one in (*conversion.targets(kind[1]), *others) if one in accepted), None)
