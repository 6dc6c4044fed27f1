"""Who may associate and which services he may use: Orthanc's rules for application entity titles.

A title that the configuration names (`DicomModalities`) has the rights of that entry. Any other has those
that the `DicomAlwaysAllow...` options give to strangers; if they give none, he is turned away.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ithil.settings import Modality, Settings

LOOK_UP_LIFETIME = 300.0
"""Seconds for which the addresses of a host name count before they are asked for again."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What the caller of one association may ask for."""

    echo: bool = False
    store: bool = False
    find: bool = False
    find_worklist: bool = False
    get: bool = False
    move: bool = False
    commitment: bool = False  # N-ACTION: to ask for it
    event_report: bool = False  # N-EVENT-REPORT: to tell what came of it

    @property
    def any(self) -> bool:
        """Whether there is a point in associating."""
        return (
            self.echo
            or self.store
            or self.find
            or self.find_worklist
            or self.get
            or self.move
            or self.commitment
            or self.event_report
        )


def same_title(first: str, second: str, settings: Settings) -> bool:
    """Whether two application entity titles are the same (PS3.5 6.2: blanks around them do not count)."""
    first, second = first.strip(), second.strip()
    return first == second if settings.strict_aet_comparison else first.upper() == second.upper()


def is_called_by_name(called_title: str, settings: Settings) -> bool:
    """Whether the called title is one this server answers to."""
    return not settings.dicom_check_called_aet or same_title(called_title, settings.dicom_aet, settings)


def rights(
    calling_title: str, ip: str, settings: Settings, modalities: Iterable[Modality] | None = None
) -> Rights:
    """What a caller may do; `modalities` are those known at the moment, if not those of the settings.

    Of several entries with his title, the one with his address counts; if none has it, he may only do what
    all of them allow. With `DicomCheckModalityHost` a known title from another address may do nothing.
    """
    if modalities is None:
        modalities = settings.dicom_modalities.values()
    known = [modality for modality in modalities if same_title(modality.aet, calling_title, settings)]
    if not known:
        return _strangers(settings)
    if settings.dicom_check_modality_host or len(known) > 1:
        here = [modality for modality in known if ip in _hosts.of(modality.host)]
        if settings.dicom_check_modality_host and not here:
            return Rights()
        known = here or known
    return _common(known)


def _strangers(settings: Settings) -> Rights:
    return Rights(
        echo=settings.dicom_always_allow_echo,
        store=settings.dicom_always_allow_store,
        find=settings.dicom_always_allow_find,
        find_worklist=settings.dicom_always_allow_find_worklist,
        get=settings.dicom_always_allow_get,
        move=settings.dicom_always_allow_move,
    )


def _common(known: list[Modality]) -> Rights:
    return Rights(
        echo=all(modality.allow_echo for modality in known),
        store=all(modality.allow_store for modality in known),
        find=all(modality.allow_find for modality in known),
        find_worklist=all(modality.allow_find_worklist for modality in known),
        get=all(modality.allow_get for modality in known),
        move=all(modality.allow_move for modality in known),
        commitment=all(modality.allow_n_action for modality in known),
        event_report=all(modality.allow_event_report for modality in known),
    )


def _look_up(host: str) -> frozenset[str]:
    return frozenset(str(entry[4][0]) for entry in socket.getaddrinfo(host, None))


class HostAddresses:
    """The addresses of configured hosts, looked up when they are needed.

    A success is remembered for `LOOK_UP_LIFETIME`. A failure is not: the name server may be back for the next
    association, and a modality must not be locked out until the server is started again.
    """

    def __init__(
        self,
        look_up: Callable[[str], frozenset[str]] = _look_up,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`look_up` raises OSError if it fails; `clock` is in seconds and never goes back."""
        self._look_up = look_up
        self._clock = clock
        self._known: dict[str, tuple[float, frozenset[str]]] = {}  # until when, and what

    def of(self, host: str) -> frozenset[str]:
        """The addresses of a host; the name itself if it cannot be looked up."""
        until, addresses = self._known.get(host, (0.0, frozenset[str]()))
        if addresses and self._clock() < until:
            return addresses
        try:
            addresses = self._look_up(host)
        except (OSError, UnicodeError):  # the latter for what cannot be a name, as an empty label
            return frozenset({host})
        self._known[host] = (self._clock() + LOOK_UP_LIFETIME, addresses)
        return addresses


_hosts = HostAddresses()
