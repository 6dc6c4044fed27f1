"""The content of a ZIP as a value to compare: two servers may compress alike files differently."""

from __future__ import annotations

import hashlib
import io
import warnings
import zipfile
from typing import Any

import pydicom


def content(body: bytes) -> Any:
    """The names in their order, the MD5 of each file, and the records of a DICOMDIR; `body` if it is no ZIP."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as found:
            names = found.namelist()
            return {
                "names": names,
                "files": {
                    name: hashlib.md5(found.read(name), usedforsecurity=False).hexdigest()
                    for name in names
                    if name != "DICOMDIR"
                },
                "records": _records(found.read("DICOMDIR")) if "DICOMDIR" in names else [],
            }
    except zipfile.BadZipFile:
        return body


def _records(content: bytes) -> list[dict[str, str]]:
    """Each record of a DICOMDIR as text by keyword; offsets are left out, since both could be right."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what real files have in their headers
        directory = pydicom.dcmread(io.BytesIO(content))
        return [
            {
                element.keyword: _text(element)
                for element in record
                if not 0x00041400 <= element.tag <= 0x00041420
            }
            for record in directory.DirectoryRecordSequence
        ]


def _text(element: pydicom.DataElement) -> str:
    if element.is_empty:
        return ""
    return "\\".join(map(str, element.value)) if element.VM > 1 else str(element.value)
