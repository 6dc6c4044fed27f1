"""Reads pydicom's generated tables without importing pydicom.

`import pydicom` costs about 130 ms and 18 MB, which a server that reads headers with its own scanner should
not pay at start. The tables are plain dictionaries in modules that import nothing, so they are executed
straight from their files, under their true names: if pydicom is imported later it finds and shares them.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import cast

_lock = threading.Lock()

DictionaryEntry = tuple[str, str, str, str, str]
"""VR (several are joined by ` or `), VM, name, `Retired` or "", keyword."""

UidEntry = tuple[str, str, str, str, str]
"""Name, type (`SOP Class`, `Transfer Syntax`, ...), remark, `Retired` or "", keyword."""


def _load(table: str) -> ModuleType:
    name = f"pydicom.{table}"
    with _lock:
        module = sys.modules.get(name)
        if module is not None:
            return module
        package = importlib.util.find_spec("pydicom")
        if package is None or package.origin is None:
            raise ImportError("pydicom is not installed")
        spec = importlib.util.spec_from_file_location(name, Path(package.origin).parent / f"{table}.py")
        if spec is None or spec.loader is None:
            raise ImportError(f"pydicom has no table {table}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
        return module


def elements() -> dict[int, DictionaryEntry]:
    """PS3.6 chapters 6 to 8: the entry of each public tag."""
    return cast(dict[int, DictionaryEntry], _load("_dicom_dict").DicomDictionary)


def repeaters() -> dict[str, DictionaryEntry]:
    """Repeating groups of PS3.6, such as `60xx0010`; an `x` stands for any hexadecimal digit."""
    return cast(dict[str, DictionaryEntry], _load("_dicom_dict").RepeatersDictionary)


def uids() -> dict[str, UidEntry]:
    """PS3.6 annex A: the registered UIDs."""
    return cast(dict[str, UidEntry], _load("_uid_dict").UID_dictionary)
