"""The viewer as it lies on disk: a folder for each version, with a list of its files beside them.

The list holds the size and the digest of each file. A request can only name what is on it, so no path of a
request ever reaches the file system, and an entity tag costs no reading. The folder is named for the version
of the viewer and the form that `rewrite` gives it: a newer Ithil never serves what an older one installed.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

PACKAGE = "@ohif/app"
VERSION = "3.13.2"
INTEGRITY = "sha512-WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
"""The digest of the package as npm writes it; another package is not installed."""

FORM = 1
"""What `rewrite` makes of the package; a change of it needs a new number."""

INDEX = "index.html"
CONFIGURATION = "app-config.js"

LIST = "files.json"
FILES = "files"
_LONGEST_LIST = 1 << 20


@dataclass(frozen=True, slots=True)
class ViewerFile:
    """One file: its bytes, SHA-256 in hex, and the bytes of its gzip form, 0 if it has none."""

    size: int
    digest: str
    gzip_size: int = 0


@dataclass(frozen=True, slots=True)
class Installation:
    """An installed viewer: its folder, and its files by their path below it."""

    folder: Path
    files: dict[str, ViewerFile]

    def path(self, name: str, *, compressed: bool = False) -> Path:
        """Where a file of the list is, or its gzip form."""
        return self.folder / FILES / (f"{name}.gz" if compressed else name)

    def is_sound(self) -> bool:
        """Whether all files are there in their sizes."""
        try:
            return INDEX in self.files and all(
                self.path(name).stat().st_size == file.size
                and (not file.gzip_size or self.path(name, compressed=True).stat().st_size == file.gzip_size)
                for name, file in self.files.items()
            )
        except OSError:
            return False


def default_directory() -> Path:
    """The folder of viewers if the configuration names none: below the Python environment that runs this."""
    return Path(sys.prefix) / "share" / "ithil" / "ohif"


def folder_of(directory: Path) -> Path:
    """The folder of the one version that this server serves."""
    return directory / f"{VERSION}-{FORM}"


def save_list(folder: Path, files: dict[str, ViewerFile]) -> None:
    """Write the list; the last thing that an installation does."""
    content = {
        "version": VERSION,
        "form": FORM,
        "files": {name: asdict(files[name]) for name in sorted(files)},
    }
    with (folder / LIST).open("w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def load(directory: Path) -> Installation | None:
    """The viewer in a folder of viewers, or None if this version of it is not installed there."""
    folder = folder_of(directory)
    try:
        with (folder / LIST).open("rb") as file:
            content = json.loads(file.read(_LONGEST_LIST))
        files = {str(name): ViewerFile(**entry) for name, entry in content["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return Installation(folder, files)
