"""The real DICOM files that installed packages bring: pydicom's own test files and those of pydicom-data.

They are found on disk and never downloaded, so pydicom's `get_testdata_file`, which may fetch, is not used.
Files are named by their path below the package's folder, such as `pydicom/CT_small.dcm`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_NOT_DICOM = {".py", ".pyc", ".json", ".txt", ".md", ".zip", ".xml", ".gz"}
_FOLDERS = (
    ("pydicom", "pydicom", "data/test_files"),
    ("charset", "pydicom", "data/charset_files"),
    ("palette", "pydicom", "data/palettes"),
    ("pydicom-data", "data_store", "data"),
)


@cache
def all_files() -> dict[str, Path]:
    """Every candidate DICOM file by its name, sorted; broken and odd ones are among them on purpose."""
    return dict(sorted(_find()))


def _find() -> Iterator[tuple[str, Path]]:
    for prefix, package, below in _FOLDERS:
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise RuntimeError(f"the package {package} is not installed; `make test` installs it")
        root = Path(found.submodule_search_locations[0]) / below
        for path in root.rglob("*"):
            if path.is_file() and path.suffix not in _NOT_DICOM and "__pycache__" not in path.parts:
                yield f"{prefix}/{path.relative_to(root).as_posix()}", path


def path_of(name: str) -> Path:
    """The path of the file called `name`, such as `pydicom/CT_small.dcm`; raises KeyError."""
    return all_files()[name]


def content_of(name: str) -> bytes:
    """The bytes of the file called `name`."""
    return path_of(name).read_bytes()
