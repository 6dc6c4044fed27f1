"""Files in a local folder, in Orthanc's layout: the file of UUID 0a1b... lies at `0a/1b/0a1b...`.

Orthanc draws its UUIDs at random, so that nearly every file of the first 65,000 makes a new folder, which
costs as much as writing the file. Here the first four digits stay the same for a run of files and are then
drawn anew: the layout and the even spread are the same, the folders are made once.

A file is written under its final name, since nothing refers to it before the index does. It is durable after
`finish`: its data by fsync, its name by fsync of the folders that had to be made (the name in a folder that
exists already is made durable together with the file by ext4, XFS and Btrfs).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import random
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from ithil import metrics
from ithil.archive.errors import FileMissing, StorageFull, StorageUnavailable
from ithil.metrics import Metric

FILES_PER_FOLDER_RUN = 128
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_WRITE_BEHIND = 64 * 1024  # bytes worth telling the kernel to begin writing at once
_FOLDER_TRIES = 100  # of making the folders of a file while a sweep removes those that are empty
_WRITEV_MAX = 512  # buffers in one call; the kernel allows 1024


class FileNames:
    """Draws UUIDs (version 4 in form) whose folders follow each other as the module explains."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Seeded by the system, so that no two processes draw alike; names need not be secret.
        self._bits = random.Random(secrets.randbits(256)).getrandbits
        self._prefix = ""
        self._left = 0

    def draw(self) -> str:
        """A new UUID as text."""
        with self._lock:
            if not self._left:
                self._prefix = f"{self._bits(16):04x}"
                self._left = FILES_PER_FOLDER_RUN
            self._left -= 1
            prefix = self._prefix
            digits = f"{self._bits(112):028x}"
        variant = "89ab"[int(digits[12], 16) & 3]
        return f"{prefix}{digits[:4]}-{digits[4:8]}-4{digits[8:11]}-{variant}{digits[13:16]}-{digits[16:28]}"


class LocalWriter:
    """A file being written; not in the storage's books before `finish`, gone after `discard`."""

    def __init__(self, storage: LocalStorage, uuid: str) -> None:
        self.uuid = uuid
        self.size = 0
        self._start = time.perf_counter()
        self._storage = storage
        self._path = storage.path(uuid)
        self._fd = -1
        self._fd = storage.create(self._path)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes. Raises StorageFull, StorageUnavailable."""
        self.write_all([data])

    def write_all(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        """Append several buffers with as few system calls as possible."""
        try:
            for start in range(0, len(buffers), _WRITEV_MAX):
                self._write_vector(buffers[start : start + _WRITEV_MAX])
        except OSError as error:
            raise refusal(error) from error

    def _write_vector(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        wanted = sum(map(len, buffers))
        start = self.size
        written = os.writev(self._fd, buffers)
        self.size += written
        if written < wanted:  # a full disk or a signal; the rest tells which
            rest = b"".join(buffers)[written:]
            while rest:
                written = os.write(self._fd, rest)
                self.size += written
                rest = rest[written:]
        if self._storage.durable and wanted >= _WRITE_BEHIND and _sync_file_range is not None:
            # The disk begins now, while the rest arrives and is hashed; `finish` then waits for less. It is
            # a hint whose failure `finish` would notice.
            _sync_file_range(self._fd, start, wanted, _SYNC_FILE_RANGE_WRITE)

    def view(self) -> mmap.mmap:
        """The bytes written so far, mapped for reading (at least one byte must have been written)."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return mmap.mmap(fd, self.size, access=mmap.ACCESS_READ)
            finally:
                os.close(fd)
        except OSError as error:
            raise refusal(error) from error

    def finish(self, *, durable: bool = True) -> None:
        """Close the file, after making it durable if both the caller and the storage want that."""
        try:
            if durable and self._storage.durable:
                os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1
            metrics.observe(Metric.STORAGE_CREATE, time.perf_counter() - self._start)
            metrics.add(Metric.STORAGE_WRITTEN_BYTES, self.size)
        except OSError as error:
            self.discard()
            raise refusal(error) from error

    def discard(self) -> None:
        """Forget the file; harmless when called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        try:
            os.unlink(self._path)
        except OSError:
            pass  # never written, or the disk is gone: `ithil check` finds what stays


class StoredFile:
    """A stored file that is open for reading; it can be read to its end even if it is removed meanwhile."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.fstat(fd).st_size

    def read(self, start: int, end: int) -> bytes:
        """The bytes `start` to `end` (excluded), fewer at the end of the file. Raises StorageUnavailable."""
        try:
            with metrics.timed(Metric.STORAGE_READ):
                content = _read_exactly(self._fd, start, max(0, min(end, self.size) - start))
            metrics.add(Metric.STORAGE_READ_BYTES, len(content))
            return content
        except OSError as error:
            raise refusal(error) from error

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` with the first bytes; how many there were. Raises StorageUnavailable."""
        try:
            with metrics.timed(Metric.STORAGE_READ):
                got = 0
                while got < len(buffer) and (more := os.preadv(self._fd, (buffer[got:],), got)):
                    got += more
            metrics.add(Metric.STORAGE_READ_BYTES, got)
            return got
        except OSError as error:
            raise refusal(error) from error

    def view(self) -> mmap.mmap:
        """The bytes, mapped for reading (there must be at least one). Raises StorageUnavailable."""
        try:
            return mmap.mmap(self._fd, self.size, access=mmap.ACCESS_READ)
        except OSError as error:
            raise refusal(error) from error

    def close(self) -> None:
        """Let go of the file; harmless when called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()


class LocalStorage:
    """The folder `root`; with `durable`, files are on the disk before they count."""

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self.root = root
        self.durable = durable
        self._base = os.fspath(root)
        self._root_fd = -1
        self._names = FileNames()

    def prepare(self) -> None:
        """Make the folder where it is missing and see that it can be written. Raises StorageUnavailable."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".ithil-{secrets.token_hex(8)}"
            probe.touch()
            probe.unlink()
            if self._root_fd < 0:
                self._root_fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise refusal(error) from error

    def close(self) -> None:
        """Give back what `prepare` took."""
        if self._root_fd >= 0:
            os.close(self._root_fd)
            self._root_fd = -1

    def path(self, uuid: str) -> str:
        """Where the file of a UUID lies."""
        return f"{self._base}/{uuid[:2]}/{uuid[2:4]}/{uuid}"

    def new_uuid(self) -> str:
        """A UUID that no file has, for those who write down where a file will be before they begin it."""
        return self._names.draw()

    def writer(self, uuid: str | None = None) -> LocalWriter:
        """Begin a new file under a new UUID. Raises StorageFull, StorageUnavailable."""
        return LocalWriter(self, uuid or self.new_uuid())

    def create(self, path: str) -> int:
        """Open a new file, making its folders where needed; gives the file descriptor."""
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        try:
            for _ in range(_FOLDER_TRIES):
                try:
                    return os.open(path, flags, 0o640)
                except FileNotFoundError:
                    try:
                        self._make_folders(os.path.dirname(path))
                    except (FileNotFoundError, FileExistsError):
                        pass  # a sweep has removed a folder that this made or found
            return os.open(path, flags, 0o640)
        except OSError as error:
            raise refusal(error) from error

    def _make_folders(self, leaf: str) -> None:
        os.makedirs(leaf, mode=0o750, exist_ok=True)
        if self.durable:
            for folder in (os.path.dirname(leaf), self._base):
                fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)

    def restore(self, uuid: str, content: bytes) -> None:
        """Write a file again, durably, under the UUID that it had; readers see the old one or the new.

        Raises StorageFull, StorageUnavailable.
        """
        writer = self.writer()
        try:
            writer.write(content)
            writer.finish()
            self._move(writer.uuid, uuid)
        except BaseException:
            writer.discard()
            raise

    def _move(self, made: str, uuid: str) -> None:
        target = self.path(uuid)
        folder = os.path.dirname(target)
        try:
            if not os.path.isdir(folder):
                self._make_folders(folder)
            os.replace(self.path(made), target)
            if self.durable:
                _sync_file(folder)
        except OSError as error:
            raise refusal(error) from error

    def sync(self, uuids: Sequence[str]) -> None:
        """Make files durable that were finished without being so. Raises StorageUnavailable."""
        try:
            if self._root_fd >= 0 and _sync_file_system(self._root_fd):
                return
            for uuid in uuids:
                _sync_file(self.path(uuid))
        except OSError as error:
            raise refusal(error) from error

    def sync_file(self, uuid: str) -> None:
        """The same for one file; an error is told here, whoever else syncs. Raises StorageUnavailable."""
        try:
            if self.durable:
                _sync_file(self.path(uuid))
        except OSError as error:
            raise refusal(error) from error

    def open(self, uuid: str) -> StoredFile:
        """Open a file for reading. Raises FileMissing, StorageUnavailable."""
        try:
            return StoredFile(os.open(self.path(uuid), os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            raise FileMissing("A stored file is missing") from None
        except OSError as error:
            raise refusal(error) from error

    def expect(self, uuid: str) -> None:
        """Let the system read a file into its memory in the background, since it will be asked for soon."""
        try:
            fd = os.open(self.path(uuid), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # whoever reads it will be told
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_WILLNEED)
        except OSError:
            pass  # a file system that cannot
        finally:
            os.close(fd)

    def read(self, uuid: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes `start` to `end` (excluded; None: to the end) of a file. Raises FileMissing."""
        with self.open(uuid) as file:
            return file.read(start, file.size if end is None else end)

    def size(self, uuid: str) -> int | None:
        """The size of a file in bytes, or None if it is not there."""
        try:
            return os.stat(self.path(uuid)).st_size
        except OSError:
            return None

    def remove(self, uuid: str) -> None:
        """Delete a file and the folders it leaves empty; a file that is gone already is no error."""
        path = self.path(uuid)
        try:
            with metrics.timed(Metric.STORAGE_REMOVE):
                os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise refusal(error) from error
        leaf = os.path.dirname(path)
        for folder in (leaf, os.path.dirname(leaf)):
            try:
                os.rmdir(folder)
            except OSError:
                return  # not empty, or another process was faster

    def all_files(self) -> Iterator[tuple[str, int, float]]:
        """(UUID, size, time of last change in seconds since 1970) of every file that has a UUID as its name."""
        for first in _subfolders(self._base):
            for second in _subfolders(first.path):
                with os.scandir(second.path) as entries:
                    for entry in entries:
                        if len(entry.name) == 36 and entry.name[:4] == first.name + second.name:
                            status = entry.stat(follow_symlinks=False)
                            yield entry.name, status.st_size, status.st_mtime


_libc = ctypes.CDLL(None, use_errno=True)
_syncfs = getattr(_libc, "syncfs", None)  # Linux
_sync_file_range = getattr(_libc, "sync_file_range", None)  # Linux
if _sync_file_range is not None:
    _sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
_SYNC_FILE_RANGE_WRITE = 2


def _sync_file_system(fd: int) -> bool:
    """Make all that was written to the file system of `fd` durable; False where there is no call for that.

    For many small files this is one commit of the file system's journal instead of one for each. An error of
    writing is told to each descriptor that was open when it happened, and once; so it must be an old one.
    """
    if _syncfs is None:
        return False
    if _syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return True


def _sync_file(path: str) -> None:
    """Make one file durable; one that has been removed meanwhile needs nothing."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _subfolders(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [
                entry for entry in entries if len(entry.name) == 2 and entry.is_dir(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return []


def _read_exactly(fd: int, start: int, length: int) -> bytes:
    """Read `length` bytes; one system call unless the kernel gives less (it caps a read at 2 GiB)."""
    data = os.pread(fd, length, start)
    if len(data) == length:
        return data
    parts = [data]
    got = len(data)
    while got < length:
        data = os.pread(fd, length - got, start + got)
        if not data:
            break
        parts.append(data)
        got += len(data)
    return b"".join(parts)


def refusal(error: OSError) -> StorageFull | StorageUnavailable:
    """The archive's exception for an operating system error; the message names no path."""
    name = errno.errorcode.get(error.errno or 0, "EIO")
    if error.errno in _NO_SPACE:
        return StorageFull(f"The storage area is full ({name})")
    return StorageUnavailable(f"The storage area cannot be used ({name})")
