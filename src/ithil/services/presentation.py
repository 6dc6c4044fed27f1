"""What the DICOM listener supports: SOP classes and transfer syntaxes, as settings and operator have it."""

from __future__ import annotations

from collections.abc import Sequence

from ithil.dicom import uids
from ithil.network.negotiation import Policy
from ithil.network.pdu_items import RoleSelection
from ithil.services.access import Rights
from ithil.services.providers import by_sop_class
from ithil.settings import Settings
from ithil.settings.acceptance import Acceptance
from ithil.settings.runtime import Runtime


class Presentation:
    """The negotiation policies for callers with given rights.

    What an operator sets in `runtime` counts from the next association on.
    """

    def __init__(self, settings: Settings, runtime: Runtime | None = None) -> None:
        self._settings = settings
        self._acceptance = Acceptance(settings, runtime)

    def policy(self, rights: Rights, roles: Sequence[RoleSelection] = ()) -> Policy:
        """What a caller with these rights can negotiate; `roles` are those that he proposes to take.

        Whoever may use C-GET but not C-STORE is accepted for storage in the role of the provider alone, in
        which he receives (PS3.4 C.4.3).
        """
        syntaxes = self._acceptance.transfer_syntaxes()
        stores = self._acceptance.stores
        services, settings = by_sop_class(), self._settings
        received = frozenset(role.sop_class_uid for role in roles if role.scp) if rights.get else frozenset()

        def abstract_syntax(uid: str) -> bool:
            if uid in services:
                return services[uid].enabled(settings) and services[uid].allowed(rights)
            return bool(uid) and (rights.store or uid in received) and stores(uid)

        def transfer_syntax(sop_class: str, uid: str) -> bool:
            return uid in (_UNCOMPRESSED if sop_class in services else syntaxes)

        def requestor_as_scp(uid: str) -> bool:
            if uid in services:
                return services[uid].requestor_may_provide
            return rights.get

        def extended(uid: str, information: bytes) -> bytes | None:
            return services[uid].extended(information) if uid in services else None

        return Policy(
            accepts_abstract_syntax=abstract_syntax,
            accepts_transfer_syntax=transfer_syntax,
            preferred_transfer_syntaxes=(uids.EXPLICIT_LITTLE,),
            allows_requestor_as_scp=requestor_as_scp,
            extended_negotiation=extended,
        )


_UNCOMPRESSED = (uids.IMPLICIT_LITTLE, uids.EXPLICIT_LITTLE, uids.EXPLICIT_BIG)
