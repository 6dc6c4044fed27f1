"""The composition root: settings in, a running server out. The one place that knows every part.

Start: archive, sweeps, DICOM, jobs, HTTP. Stop: the same in reverse, so that whoever was being served when
the signal came gets his answer; jobs come to rest after their step and go on at the next start. With several
workers the processes are equal; a parent only starts them, passes on signals and replaces one that dies.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from functools import partial

import uvicorn

from ithil import __version__, logs, metrics
from ithil.allocator import bound_memory
from ithil.archive.archive import Archive, holds_index_of_orthanc
from ithil.archive.errors import ArchiveError
from ithil.archive.recovery import open_archive
from ithil.archive.sweeps import Sweeper
from ithil.dicom.dictionary import configured
from ithil.dicomweb import routes as dicomweb
from ithil.ending import Ending
from ithil.error_codes import CodedError
from ithil.explorer.ohif import routes as ohif
from ithil.http.context import ServerControl
from ithil.http.protocol import protocol_class
from ithil.http.routing import Route
from ithil.http.server import create_app
from ithil.http.web_socket import LARGEST_MESSAGE, WebSocketProtocol
from ithil.jobs.engine import Engine
from ithil.jobs.pool_worker import configure_dictionary
from ithil.metrics import Metric
from ithil.network.acceptor import Acceptor, AcceptorConfig, listen
from ithil.rest import routes as rest
from ithil.services.association import ServiceAssociation
from ithil.services.job_kinds import every_kind
from ithil.services.presentation import Presentation
from ithil.services.routing import Router
from ithil.services.store import finish_all
from ithil.services.tls import server_context
from ithil.settings import Settings, SettingsError
from ithil.settings.runtime import Runtime
from ithil.workers import supervise

log = logging.getLogger(__name__)

# A thread that waits for the interpreter gets it after this many seconds. The default of 5 ms is what a
# received instance would wait for each time another thread computes.
SWITCH_INTERVAL = 0.0005
STOP_SECONDS = 10
LAST_REQUEST_SECONDS = 0.1


class StartError(Exception):
    """The server cannot start; the message says why and is meant for the operator."""


def run(settings: Settings, *, verbosity: int = 0, reload: Callable[[], Settings] | None = None) -> int:
    """Run a server until SIGTERM or SIGINT; returns the exit status.

    With `reload`, SIGHUP and `/tools/reset` read the configuration again and start anew with it.
    """
    bound_memory()
    _announce(settings, verbosity)
    try:
        course = _Course(settings, Listeners(settings), verbosity, reload)
        while course.settings.ithil.workers == 1:
            if not course.serve(os.getpid()):
                return 0
            course.renew()
        open_archive(course.settings).close()  # the tables are made once, and what is wrong is told once
        parent = os.getpid()

        def work() -> None:
            course.serve(parent)

        return supervise(course.settings.ithil.workers, work, course.renew)
    except (StartError, ArchiveError) as error:
        log.error("Ithil cannot start: %s", error)
        return 1


def _announce(settings: Settings, verbosity: int) -> None:
    """Say in the log what starts, and what to be warned of."""
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


class Listeners:
    """The listening sockets, opened before any worker is started so that all of them share one queue."""

    def __init__(self, settings: Settings, before: Listeners | None = None) -> None:
        """Raises StartError if a port cannot be had, or DICOM TLS cannot be set up.

        Sockets of `before` that listen where these settings say are taken over, so that a caller who comes
        while the server starts anew waits in their queue.
        """
        _acceptor_config(settings)  # what is wrong with it is told before any worker starts
        self.http_place = (settings.http_server_enabled, settings.http_bind_addresses, settings.http_port)
        self.dicom_place = (settings.dicom_server_enabled, settings.dicom_port)
        self.http: list[socket.socket] = []
        self.dicom: list[socket.socket] = []
        opened: list[socket.socket] = []
        try:
            if before is not None and before.http_place == self.http_place:
                self.http = before.http
            elif settings.http_server_enabled:
                opened += _listen(settings.http_bind_addresses, settings.http_port, "HTTP")
                self.http = list(opened)
            if before is not None and before.dicom_place == self.dicom_place:
                self.dicom = before.dicom
            elif settings.dicom_server_enabled:
                self.dicom = _listen(None, settings.dicom_port, "DICOM")
                opened += self.dicom
        except StartError:
            _close(opened)
            raise

    def copies(self) -> Listeners:
        """The same sockets for a server that will close its own."""
        copied = copy(self)
        copied.http, copied.dicom = [one.dup() for one in self.http], [one.dup() for one in self.dicom]
        return copied

    def close(self, but: Listeners | None = None) -> None:
        """Stop listening, except where `but` goes on."""
        kept = [*but.http, *but.dicom] if but is not None else []
        _close([one for one in (*self.http, *self.dicom) if one not in kept])


class _Course:
    """What the server runs with at the moment: the settings, the sockets, and what an operator changed."""

    def __init__(
        self,
        settings: Settings,
        sockets: Listeners,
        verbosity: int,
        reload: Callable[[], Settings] | None,
    ) -> None:
        self.settings = settings
        self._sockets = sockets
        self._verbosity = verbosity
        self._reload = reload
        self._runtime = Runtime()

    def serve(self, chief: int) -> bool:
        """Be one process of the server; True if it is to start anew. `chief` is the process to ask for that."""
        ending = Ending(may_reset=chief == os.getpid() and self._reload is not None)
        control = ServerControl(
            reset=lambda: os.kill(chief, signal.SIGHUP), shutdown=lambda: os.kill(chief, signal.SIGTERM)
        )
        serve(self.settings, self._sockets.copies(), self._runtime, ending, control)
        return ending.again

    def renew(self) -> int:
        """Read the configuration again; if it cannot be used the old one stays. Gives the number of workers."""
        sockets: Listeners | None = None
        try:
            settings = self._reload() if self._reload is not None else self.settings
            sockets = Listeners(settings, self._sockets)
            open_archive(settings).close()
        except (SettingsError, StartError, ArchiveError) as error:
            if sockets is not None:
                sockets.close(but=self._sockets)
            log.error("The configuration cannot be used, so the old one stays: %s", error)
            return self.settings.ithil.workers
        self._sockets.close(but=sockets)
        self.settings, self._sockets = settings, sockets
        self._runtime.reset()
        configured.clear()
        _announce(settings, self._verbosity)
        return settings.ithil.workers


def serve(
    settings: Settings, sockets: Listeners, runtime: Runtime, ending: Ending, control: ServerControl
) -> None:
    """Be one process of the server until a signal comes. Raises ArchiveError if the archive cannot open.

    `ending` learns which signal it was; `sockets` are closed in the end.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    configure_dictionary(settings)
    owner = f"{socket.gethostname()}:{os.getpid()}"
    archive = open_archive(settings, runtime)
    metrics.hold(Metric.SERVING, 1)
    levels = ExitStack()
    levels.enter_context(logs.following(lambda: runtime.values.log_levels))
    sweeper = Sweeper(archive, owner)
    engine = Engine(archive, every_kind())
    router = Router(archive)
    acceptor: Acceptor | None = None
    try:
        sweeper.start()
        if sockets.dicom:
            presentation = Presentation(settings, runtime)
            acceptor = Acceptor(
                sockets.dicom,
                _acceptor_config(settings),
                lambda: ServiceAssociation(archive, presentation),
                # Where every acknowledgement waits for a transaction, each association has a thread for that.
                partial(finish_all, archive) if archive.intake.defers else None,
            )
            acceptor.start()
            log.warning("DICOM on port %d", sockets.dicom[0].getsockname()[1])
        engine.start()
        router.start()
        # What lives now lives until the end: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        if sockets.http:
            log.warning("HTTP on port %d", sockets.http[0].getsockname()[1])
            _serve_http(settings, archive, sockets.http, ending, control)
        else:
            ending.wait()
        log.warning("Ithil stops")
    finally:
        router.stop(STOP_SECONDS)
        engine.interrupt()  # so that jobs come to rest while associations end
        if acceptor is not None:
            acceptor.stop(STOP_SECONDS)
        engine.stop(STOP_SECONDS)
        sweeper.stop()
        levels.close()
        archive.close()
        sockets.close()


def _acceptor_config(settings: Settings) -> AcceptorConfig:
    """Raises StartError if DICOM TLS cannot be set up."""
    try:
        tls = server_context(settings) if settings.dicom_tls_enabled else None
    except CodedError as error:
        raise StartError(error.details) from error
    return AcceptorConfig(
        max_pdu_length=settings.maximum_pdu_length,
        timeout=settings.dicom_scp_timeout,
        artim=settings.dicom_scp_timeout or 30,
        max_associations=settings.ithil.maximum_associations,
        max_associations_per_host=settings.ithil.maximum_associations_per_host,
        tls=tls,
    )


def _serve_http(
    settings: Settings,
    archive: Archive,
    sockets: list[socket.socket],
    ending: Ending,
    control: ServerControl,
) -> None:
    tls = {}
    if settings.ssl_enabled:
        tls = {
            "ssl_certfile": os.fspath(settings.ssl_certificate),
            "ssl_cert_reqs": ssl.CERT_REQUIRED if settings.ssl_verify_peers else ssl.CERT_NONE,
        }
        if settings.ssl_verify_peers:
            tls["ssl_ca_certs"] = os.fspath(settings.ssl_trusted_client_certificates)
    application = create_app(archive, settings, every_route(settings), control)
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=protocol_class(settings.http_request_timeout),
        ws=WebSocketProtocol,
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,
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
        _HttpServer(config, ending).run(sockets=sockets)
    finally:
        application.close()


def every_route(settings: Settings) -> list[Route]:
    """The routes of all skins that speak HTTP."""
    return [*rest.table(), *dicomweb.table(settings), *ohif.table(settings)]


class _HttpServer(uvicorn.Server):
    """uvicorn sends a signal that stopped it to the process once more, which would end it before its time."""

    def __init__(self, config: uvicorn.Config, ending: Ending) -> None:
        super().__init__(config)
        self._ending = ending

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on the signals that end this process, and only that."""
        self._ending.listen(self.handle_exit)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody in any more, answer who was, and close."""
        for server in self.servers:
            server.close()
        # Who was let in a moment ago is about to send his request; uvicorn would hang up on him as on the idle.
        await asyncio.sleep(LAST_REQUEST_SECONDS)
        await super().shutdown(sockets)


def _close(sockets: Sequence[socket.socket]) -> None:
    for one in sockets:
        one.close()


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
