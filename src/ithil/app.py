"""The composition root: settings in, a running server out. The one place that knows every part.

Start: archive, sweeps, DICOM, HTTP. Stop: the same in reverse, so that whoever was being served when the
signal came gets his answer. With several workers the processes are equal; a parent only starts them, passes
on signals and replaces one that dies.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from ithil import __version__, logs
from ithil.archive.archive import Archive, holds_index_of_orthanc
from ithil.archive.errors import ArchiveError
from ithil.archive.sweeps import Sweeper
from ithil.dicom.dictionary import Entry, configured
from ithil.network.acceptor import Acceptor, AcceptorConfig, listen
from ithil.rest.http_protocol import protocol_class
from ithil.rest.server import create_app
from ithil.services.association import ServiceAssociation
from ithil.services.presentation import Presentation
from ithil.settings import Settings
from ithil.workers import supervise

log = logging.getLogger(__name__)

# A thread that waits for the interpreter gets it after this many seconds. The default of 5 ms is what a
# received instance would wait for each time another thread computes.
SWITCH_INTERVAL = 0.0005
STOP_SECONDS = 10


class StartError(Exception):
    """The server cannot start; the message says why and is meant for the operator."""


def run(settings: Settings, *, verbosity: int = 0) -> int:
    """Run a server until SIGTERM or SIGINT; returns the exit status."""
    logs.configure(settings.ithil.log_format, verbosity)
    log.warning(
        "Ithil %s starts as %s, storage %s, index %s",
        __version__,
        settings.dicom_aet,
        settings.storage_directory,
        "in PostgreSQL" if settings.postgresql.enable_index else settings.index_directory,
    )
    for warning in settings.warnings:
        log.warning("%s", warning)
    if holds_index_of_orthanc(settings):
        log.warning(
            "Orthanc's index is in the folder of the settings, %s. Ithil has an index of its own and does not see "
            "what Orthanc stored; see docs/operating.md for the way to move it",
            settings.index_directory,
        )
    try:
        sockets = Listeners(settings)
        if settings.ithil.workers == 1:
            serve(settings, sockets)
            return 0
        Archive.open(settings).close()  # the tables are made once, and what is wrong is told once
        return supervise(settings.ithil.workers, lambda: serve(settings, sockets))
    except (StartError, ArchiveError) as error:
        log.error("Ithil cannot start: %s", error)
        return 1


class Listeners:
    """The listening sockets, opened before any worker is started so that all of them share one queue."""

    def __init__(self, settings: Settings) -> None:
        """Raises StartError if a port cannot be had."""
        self.http: list[socket.socket] = []
        self.dicom: list[socket.socket] = []
        if settings.http_server_enabled:
            self.http = _listen(settings.http_bind_addresses, settings.http_port, "HTTP")
        if settings.dicom_server_enabled:
            self.dicom = _listen(None, settings.dicom_port, "DICOM")


def serve(settings: Settings, sockets: Listeners) -> None:
    """Be one process of the server until a signal comes. Raises ArchiveError if the archive cannot open."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    _configure_dictionary(settings)
    owner = f"{socket.gethostname()}:{os.getpid()}"
    archive = Archive.open(settings)
    sweeper = Sweeper(archive, owner)
    acceptor: Acceptor | None = None
    try:
        sweeper.start()
        if sockets.dicom:
            presentation = Presentation(settings)
            acceptor = Acceptor(
                sockets.dicom,
                _acceptor_config(settings),
                lambda: ServiceAssociation(archive, presentation),
            )
            acceptor.start()
            log.warning("DICOM on port %d", sockets.dicom[0].getsockname()[1])
        # What lives now lives until the end: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        if sockets.http:
            log.warning("HTTP on port %d", sockets.http[0].getsockname()[1])
            _serve_http(settings, archive, sockets.http)
        else:
            _wait_for_signal()
        log.warning("Ithil stops")
    finally:
        if acceptor is not None:
            acceptor.stop(STOP_SECONDS)
        sweeper.stop()
        archive.close()


def _configure_dictionary(settings: Settings) -> None:
    configured.use_private = settings.load_private_dictionary
    for tag in settings.dictionary:
        entry = Entry(tag.vr, tag.name, tag.minimum, tag.maximum, tag.private_creator)
        configured.register(tag.tag, entry)


def _acceptor_config(settings: Settings) -> AcceptorConfig:
    return AcceptorConfig(
        max_pdu_length=settings.maximum_pdu_length,
        timeout=settings.dicom_scp_timeout,
        artim=settings.dicom_scp_timeout or 30,
        max_associations=settings.ithil.maximum_associations,
        max_associations_per_host=settings.ithil.maximum_associations_per_host,
    )


def _serve_http(settings: Settings, archive: Archive, sockets: list[socket.socket]) -> None:
    tls = {}
    if settings.ssl_enabled:
        tls = {
            "ssl_certfile": os.fspath(settings.ssl_certificate),
            "ssl_cert_reqs": ssl.CERT_REQUIRED if settings.ssl_verify_peers else ssl.CERT_NONE,
        }
        if settings.ssl_verify_peers:
            tls["ssl_ca_certs"] = os.fspath(settings.ssl_trusted_client_certificates)
    rest = create_app(archive, settings)
    config = uvicorn.Config(
        rest,
        loop="uvloop",
        http=protocol_class(settings.http_request_timeout),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_timeout,
        timeout_graceful_shutdown=STOP_SECONDS,
        **tls,  # type: ignore[arg-type]
    )
    try:
        _HttpServer(config).run(sockets=sockets)
    finally:
        rest.close()


class _HttpServer(uvicorn.Server):
    """uvicorn sends a signal that stopped it to the process once more, which would end it before its time."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, and only that."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield


def _wait_for_signal() -> None:
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    stopping.wait()


def _listen(addresses: list[str] | None, port: int, what: str) -> list[socket.socket]:
    """Listen on the addresses (all, of IPv4 and IPv6, if None). Raises StartError."""
    opened: list[socket.socket] = []
    try:
        for address in addresses if addresses is not None else ["0.0.0.0", "::"]:
            try:
                opened.append(listen(address, port))
            except OSError as error:
                if addresses is None and address == "::" and opened:
                    continue  # a host without IPv6
                raise StartError(
                    f"{what} port {port} on {address} cannot be had ({error.strerror}); "
                    f"is another server running? {what.title() if what == 'HTTP' else 'Dicom'}Port "
                    "in the configuration names another port"
                ) from error
            port = port or opened[0].getsockname()[1]
    except StartError:
        for one in opened:
            one.close()
        raise
    return opened
