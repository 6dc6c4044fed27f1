"""The DICOMDIR of a medium (PS3.10 8.6, PS3.3 F.3), written record by record.

Records point to each other by their distance from the start of the file. They are written depth first as they
come, into a temporary file once they are many, and the pointers of those before are filled in then. So the
directory of a million instances takes no memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile

from ithil.archive.export.records import Records, text_element
from ithil.dicom.part10 import file_meta
from ithil.dicom.uids import EXPLICIT_LITTLE, MEDIA_STORAGE_DIRECTORY, generate_uid

FILE_SET_ID = b"ITHIL_MEDIA"

_IN_MEMORY = 4 * 1024 * 1024
_IN_USE = 0xFFFF
_NUMBER = struct.Struct("<HH2sHI")
_SHORT_NUMBER = struct.Struct("<HH2sHH")
_POINTER = struct.Struct("<I")
_ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
_ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
_SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
_NEXT_VALUE = len(_ITEM) + 8  # from the start of a record to its pointer to the next of the same parent
_LOWER_VALUE = _NEXT_VALUE + 4 + 10 + 8  # and to its pointer to the first below it


def _pointer(element: int, value: int = 0) -> bytes:
    return _NUMBER.pack(4, element, b"UL", 4, value)


class DicomDir:
    """One directory. `add` takes the instances, parents together; `pieces` is the file then."""

    def __init__(self, folder: str | None = None) -> None:
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY, dir=folder)  # noqa: SIM115 (closed by close)
        beginning = file_meta(MEDIA_STORAGE_DIRECTORY, generate_uid(), EXPLICIT_LITTLE)
        beginning += text_element(0x00041130, "CS", FILE_SET_ID)
        self._first_value = len(beginning) + 8
        beginning += _pointer(0x1200) + _pointer(0x1202)
        beginning += _SHORT_NUMBER.pack(4, 0x1212, b"US", 2, 0)  # consistent
        beginning += _NUMBER.pack(4, 0x1220, b"SQ", 0, 0xFFFFFFFF)
        self._file.write(beginning)
        self._parents: tuple[int, ...] = ()
        self._last = [0, 0, 0, 0]  # where the last record of each level begins, 0 if its parent has none yet
        self.size = len(beginning)

    def add(self, name: str, parents: tuple[int, int, int], records: Records) -> None:
        """Enter the file called `name` in the ZIP; `parents` tell patient, study and series apart."""
        same = 0
        while same < len(self._parents) and parents[same] == self._parents[same]:
            same += 1
        self._parents = parents
        kinds = (("PATIENT", records.patient), ("STUDY", records.study), ("SERIES", records.series))
        for level in range(same, 3):
            kind, keys = kinds[level]
            self._record(level, kind, keys)
        reference = (
            text_element(0x00041500, "CS", name.replace("/", "\\").encode())
            + text_element(0x00041510, "UI", records.sop_class.encode())
            + text_element(0x00041511, "UI", records.sop_instance.encode())
            + text_element(0x00041512, "UI", records.transfer_syntax.encode())
        )
        self._record(3, records.kind, reference + records.instance)

    def _record(self, level: int, kind: str, keys: bytes) -> None:
        start = self.size
        record = (
            _ITEM
            + _pointer(0x1400)
            + _SHORT_NUMBER.pack(4, 0x1410, b"US", 2, _IN_USE)
            + _pointer(0x1420)
            + text_element(0x00041430, "CS", kind.encode())
            + keys
            + _ITEM_END
        )
        before = self._last[level]
        if before:
            self._point(before + _NEXT_VALUE, start)
        elif level:
            self._point(self._last[level - 1] + _LOWER_VALUE, start)
        else:
            self._point(self._first_value, start)
        if level == 0:
            self._point(self._first_value + 12, start)
        self._last[level] = start
        self._last[level + 1 :] = [0] * (3 - level)
        self._file.write(record)
        self.size += len(record)

    def _point(self, place: int, target: int) -> None:
        self._file.seek(place)
        self._file.write(_POINTER.pack(target))
        self._file.seek(0, 2)

    def pieces(self, length: int) -> Iterator[bytes]:
        """The whole file in pieces of `length` bytes; nothing may be added afterwards."""
        self._file.write(_SEQUENCE_END)
        self.size += len(_SEQUENCE_END)
        self._file.seek(0)
        while piece := self._file.read(length):
            yield piece

    def close(self) -> None:
        """Give back the temporary file."""
        self._file.close()
