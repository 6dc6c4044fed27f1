"""Bring the viewer onto this host, once: fetch the package, check it, take of it what is served.

npm fetches, with whatever registry and proxy it is configured for. Only the package with the known digest is
unpacked, within bounds all the same; the result appears under its name in one step when all of it is there.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ithil.explorer.ohif import installation
from ithil.explorer.ohif.installation import FILES, INTEGRITY, PACKAGE, VERSION, Installation, ViewerFile
from ithil.explorer.ohif.rewrite import UnknownBuild, is_wanted, rewritten

FETCH_SECONDS = 600
LARGEST_PACKAGE = 256 << 20
LARGEST_FILE = 64 << 20
LARGEST_SUM = 512 << 20
MOST_MEMBERS = 5000

_BUILD = "package/dist/"
_LICENSE = "package/LICENSE"
_COMPRESSED = (".js", ".css", ".json", ".jsonc", ".svg", ".wasm", ".webapp", ".xml")
_WORTH_COMPRESSING = 1024


class InstallError(Exception):
    """The viewer could not be installed; the message says why and what helps."""


def install(directory: Path, package: Path | None = None, integrity: str = INTEGRITY) -> Installation:
    """Install the viewer below `directory` from a package file, or from what npm fetches.

    Does nothing if it is there already. Raises InstallError; nothing half installed is left behind.
    """
    there = installation.load(directory)
    if there is not None and there.is_sound():
        return there
    folder = installation.folder_of(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=directory) as scratch:
            unpacked = Path(scratch) / "viewer"
            source = package if package is not None else _fetched(Path(scratch))
            _check(source, integrity)
            _unpack(source, unpacked)
            _put_in_place(unpacked, folder)
    except (OSError, ValueError, tarfile.TarError, zlib.error, EOFError, UnknownBuild) as error:
        raise InstallError(f"OHIF cannot be installed in {directory}: {error}") from error
    _remove_others(directory, folder)
    installed = installation.load(directory)
    if installed is None:
        raise InstallError(f"OHIF was installed in {folder} and is not there")
    return installed


def _fetched(folder: Path) -> Path:
    """The package as npm has it."""
    npm = shutil.which("npm")
    if npm is None:
        raise InstallError(
            f"npm is not there to fetch it: install npm, or give the file of {PACKAGE}@{VERSION} with --package"
        )
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--ignore-scripts", "--fetch-retries=1"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"npm did not fetch {PACKAGE}@{VERSION} within {FETCH_SECONDS} s") from error
    packages = sorted(folder.glob("*.tgz"))
    if done.returncode or len(packages) != 1:
        said = " ".join(done.stderr.split())[-300:]
        raise InstallError(f"npm could not fetch {PACKAGE}@{VERSION}" + (f": {said}" if said else ""))
    return packages[0]


def _check(package: Path, integrity: str) -> None:
    """Raises InstallError unless the file is the package whose digest is `integrity` (`sha512-` and base64)."""
    with package.open("rb") as file:
        if os.fstat(file.fileno()).st_size > LARGEST_PACKAGE:
            raise InstallError(f"{package.name} is too large to be {PACKAGE}@{VERSION}")
        digest = hashlib.file_digest(file, "sha512").digest()
    if not hmac.compare_digest(f"sha512-{base64.b64encode(digest).decode()}", integrity):
        raise InstallError(f"{package.name} is not {PACKAGE}@{VERSION}: its digest is another")


def _unpack(package: Path, folder: Path) -> None:
    """Write the files that are served, their compressed forms, and the list of them."""
    files: dict[str, ViewerFile] = {}
    folder.mkdir()
    with tarfile.open(package, "r:gz") as archive:
        for name, content in _members(archive):
            if name == _LICENSE:
                (folder / "LICENSE").write_bytes(content)
                continue
            name = name.removeprefix(_BUILD)
            files[name] = _write(folder / FILES, name, rewritten(name, content))
    if installation.INDEX not in files:
        raise InstallError(f"{package.name} has no page")
    installation.save_list(folder, files)


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    """The wanted files with their content. Raises InstallError beyond the bounds and for names that climb."""
    total = 0
    for number, member in enumerate(archive):
        total += member.size
        if number >= MOST_MEMBERS or member.size > LARGEST_FILE or total > LARGEST_SUM:
            raise InstallError("the package is larger than it can be")
        name = member.name
        wanted = name == _LICENSE or (name.startswith(_BUILD) and is_wanted(name.removeprefix(_BUILD)))
        if not wanted or not member.isfile():
            continue
        if (
            "\\" in name
            or "\0" in name
            or ".." in PurePosixPath(name).parts
            or str(PurePosixPath(name)) != name
        ):
            raise InstallError("the package has a file whose name leads elsewhere")
        file = archive.extractfile(member)
        assert file is not None  # it is a file
        yield name, file.read()


def _write(folder: Path, name: str, content: bytes) -> ViewerFile:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    compressed = b""
    if name.endswith(_COMPRESSED) and len(content) >= _WORTH_COMPRESSING:
        compressed = gzip.compress(content, 9, mtime=0)
        if len(compressed) > len(content) * 0.9:
            compressed = b""
    if compressed:
        path.with_name(path.name + ".gz").write_bytes(compressed)
    return ViewerFile(len(content), hashlib.sha256(content).hexdigest(), len(compressed))


def _put_in_place(unpacked: Path, folder: Path) -> None:
    """Give the new folder its name; a damaged one that has it goes, a sound one of another process stays."""
    try:
        unpacked.rename(folder)
        return
    except OSError:
        there = installation.load(folder.parent)
        if there is not None and there.is_sound():
            return
    folder.rename(unpacked.with_name("damaged"))
    unpacked.rename(folder)


def _remove_others(directory: Path, kept: Path) -> None:
    """Remove older versions of the viewer, which are told by their list."""
    for folder in directory.iterdir():
        if folder != kept and not folder.name.startswith(".") and (folder / installation.LIST).is_file():
            shutil.rmtree(folder, ignore_errors=True)
