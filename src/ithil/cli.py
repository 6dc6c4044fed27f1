"""The command line: `ithil serve`, `ithil check`, `ithil config check`, `ithil viewer install`, `ithil openapi`.

Each command loads only what it needs, so that `--help` and `--version` answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ithil import __version__

_CONFIGURATION = """\
configuration:
  CONFIG is a file in Orthanc's format (JSON with comments, ${VAR:-default} allowed) or a folder of *.json.
  The environment wins over files: ORTHANC__HTTP_PORT=8080, ORTHANC__POSTGRESQL__HOST=db,
  ITHIL__WORKERS=4. Without any, Ithil keeps everything in ./OrthancStorage, listens on HTTP 8042 and
  DICOM 4242, and serves HTTP to this host only.
"""

_EXAMPLES = """\
examples:
  ithil serve                                 start with the defaults
  ithil serve orthanc.json                    start with an existing configuration of Orthanc
  ithil config check /etc/orthanc/            show what a configuration amounts to, secrets masked
  ithil check orthanc.json                    compare the index with the stored files

Send a study with dcmtk:  storescu -aec ORTHANC localhost 4242 +sd +r FOLDER
Send a file with curl:    curl --data-binary @image.dcm http://localhost:8042/instances
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command that the arguments name and exit with its status."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if "run" not in parsed:
        parser.print_help()
        sys.exit(2)
    try:
        sys.exit(parsed.run(parsed))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has seen enough, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="ithil",
        description="Ithil, a DICOM server and vendor neutral archive.",
        epilog=_EXAMPLES,
        formatter_class=raw,
    )
    parser.add_argument("--version", action="version", version=f"Ithil {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    serve = commands.add_parser(
        "serve",
        help="start the server",
        description="Start the DICOM and the HTTP server; stop them with Ctrl+C or SIGTERM.",
        epilog=_CONFIGURATION,
        formatter_class=raw,
    )
    _add_configuration(serve)
    serve.add_argument("--http-port", type=int, metavar="PORT", help="listen here instead of HttpPort")
    serve.add_argument("--dicom-port", type=int, metavar="PORT", help="listen here instead of DicomPort")
    serve.add_argument("--workers", type=int, metavar="N", help="start N processes that share everything")
    serve.add_argument("--verbose", action="store_true", help="log what the server does")
    serve.add_argument("--trace", action="store_true", help="log in all detail")
    serve.set_defaults(run=_serve)

    check = commands.add_parser(
        "check",
        help="compare the index with the stored files",
        description="Look for files that the index does not name (orphans, left by a crash) and for "
        "indexed files that are missing or damaged. Exits with 1 if anything is missing or damaged. "
        "Safe while the server runs.",
        epilog=_CONFIGURATION,
        formatter_class=raw,
    )
    _add_configuration(check)
    check.add_argument("--remove-orphans", action="store_true", help="delete the files that no row names")
    check.add_argument(
        "--force", action="store_true", help="delete orphans even if they outnumber what the index names"
    )
    check.add_argument("--md5", action="store_true", help="read every file and compare its MD5 sum")
    check.add_argument(
        "--older-than",
        type=float,
        default=3600.0,
        metavar="SECONDS",
        help="how old a file must be to be an orphan, since an arriving instance has its file before its "
        "row (default: 3600; 0 only while no server runs)",
    )
    check.set_defaults(run=_check)

    config = commands.add_parser("config", help="look at the configuration")
    config_commands = config.add_subparsers(title="commands", metavar="COMMAND", required=True)
    config_check = config_commands.add_parser(
        "check",
        help="print the effective configuration, secrets masked, and what is wrong with it",
        epilog=_CONFIGURATION,
        formatter_class=raw,
    )
    _add_configuration(config_check)
    config_check.set_defaults(run=_config_check)

    viewer = commands.add_parser("viewer", help="the OHIF viewer that the server has at /ohif/")
    viewer_commands = viewer.add_subparsers(title="commands", metavar="COMMAND", required=True)
    install = viewer_commands.add_parser(
        "install",
        help="fetch the viewer with npm and make it ready",
        description="Fetch the OHIF viewer with npm and put what is served of it below the Python environment, or "
        "into the folder that Ithil.OhifDirectory names. Does nothing if it is there. A running server sees it "
        "at once.",
        epilog=_CONFIGURATION,
        formatter_class=raw,
    )
    _add_configuration(install)
    install.add_argument(
        "--package",
        type=Path,
        metavar="FILE",
        help="the package as `npm pack` wrote it elsewhere; no npm then",
    )
    install.add_argument(
        "--if-possible", action="store_true", help="say so and exit with 0 where it cannot be installed"
    )
    install.set_defaults(run=_viewer_install)

    openapi = commands.add_parser(
        "openapi",
        help="print the OpenAPI document of the REST API",
        description="Print the description of the REST API that the server has at /openapi.json.",
    )
    openapi.set_defaults(run=_openapi)
    return parser


def _add_configuration(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="*", type=Path, metavar="CONFIG", help="configuration file or folder")


def _overrides(parsed: argparse.Namespace) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    if parsed.http_port is not None:
        overrides["HttpPort"] = parsed.http_port
    if parsed.dicom_port is not None:
        overrides["DicomPort"] = parsed.dicom_port
    if parsed.workers is not None:
        overrides["Ithil"] = {"Workers": parsed.workers}
    return overrides


def _serve(parsed: argparse.Namespace) -> int:
    from ithil import app
    from ithil.settings import Settings, SettingsError, load

    def read() -> Settings:
        return load(parsed.config, overrides=_overrides(parsed))

    try:
        settings = read()
    except SettingsError as error:
        print(f"ithil: {error}", file=sys.stderr)
        return 2
    return app.run(settings, verbosity=2 if parsed.trace else 1 if parsed.verbose else 0, reload=read)


def _check(parsed: argparse.Namespace) -> int:
    from ithil.archive.archive import has_index
    from ithil.archive.check import check
    from ithil.archive.errors import ArchiveError
    from ithil.archive.recovery import open_archive
    from ithil.settings import SettingsError, load

    def progress(files: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{files} files", end="", file=sys.stderr)

    try:
        settings = load(parsed.config)
        if not has_index(settings):
            print(f"ithil: there is no archive in {settings.index_directory}", file=sys.stderr)
            return 2
        archive = open_archive(settings)
        print(f"Storage: {settings.storage_directory}")
        try:
            report = check(
                archive,
                remove_orphans=parsed.remove_orphans,
                force=parsed.force,
                verify_md5=parsed.md5,
                minimum_age=parsed.older_than,
                progress=progress,
            )
        finally:
            archive.close()
    except (SettingsError, ArchiveError) as error:
        print(f"ithil: {error}", file=sys.stderr)
        return 2
    print(f"{report.files} files are indexed.")
    for name, findings in (
        ("orphans (no row names them)", report.orphans),
        ("missing", report.missing),
        ("of the wrong size", report.wrong_size),
        ("damaged", report.damaged),
    ):
        print(f"{findings.count} files are {name}, {findings.size} bytes.")
        for uuid in findings.uuids:
            print(f"  {uuid}")
    if report.removed:
        print(f"{report.removed} orphans were removed.")
    elif report.orphans.count:
        print(
            "Orphans waste room and nothing else. --remove-orphans deletes them, if all of them are Ithil's."
        )
    return 0 if report.sound else 1


def _config_check(parsed: argparse.Namespace) -> int:
    from ithil.settings.render import config_check

    status, text = config_check(parsed.config)
    print(text)
    return status


def _viewer_install(parsed: argparse.Namespace) -> int:
    from ithil.explorer.ohif.install import InstallError, install
    from ithil.explorer.ohif.installation import default_directory
    from ithil.settings import SettingsError, load

    try:
        settings = load(parsed.config)
    except SettingsError as error:
        print(f"ithil: {error}", file=sys.stderr)
        return 2
    try:
        viewer = install(settings.ithil.ohif_directory or default_directory(), parsed.package)
    except InstallError as error:
        if parsed.if_possible:
            print(f"ithil: no viewer at /ohif/: {error}", file=sys.stderr)
            return 0
        print(f"ithil: {error}", file=sys.stderr)
        return 1
    print(f"The OHIF viewer is in {viewer.folder}")
    return 0


def _openapi(_parsed: argparse.Namespace) -> int:
    from ithil.app import every_route
    from ithil.rest.openapi import document, to_bytes
    from ithil.settings import Settings

    sys.stdout.buffer.write(to_bytes(document(every_route(Settings()))))
    return 0
