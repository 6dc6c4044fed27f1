"""C-STORE and C-ECHO with the field's own tools: real files by dcmtk's storescu and by pynetdicom."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pynetdicom import AE, build_context
from tests.data.real import path_of
from tests.integration.sending import count, stored_files
from tests.servers.ithil import Ithil

from ithil.dicom.scan import scan

FILES = (  # of different instances
    "pydicom/CT_small.dcm",
    "pydicom/MR_small.dcm",
    "pydicom/SC_rgb_rle.dcm",
    "pydicom/JPEG2000.dcm",
    "pydicom/reportsi.dcm",
    "pydicom/waveform_ecg.dcm",
)


def stored_data_sets(server: Ithil) -> set[bytes]:
    """The data sets of all instances, without their file meta information."""
    found = set()
    for instance in server.get("/instances").json():
        content = server.get(f"/instances/{instance}/file").body
        found.add(content[scan(content, frozenset()).dataset_offset :])
    return found


def data_set_of(path: Path) -> bytes:
    content = path.read_bytes()
    return content[scan(content, frozenset()).dataset_offset :]


@pytest.fixture
def dcmtk() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs one of dcmtk's programs."""

    def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        found = shutil.which(program)
        assert found is not None, "dcmtk is not installed: `make test` installs it"
        return subprocess.run(
            [found, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_echoscu_is_answered(ithil: Ithil, dcmtk: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert dcmtk("echoscu", "-aec", "ORTHANC", "127.0.0.1", ithil.dicom_port).returncode == 0


def test_real_files_by_storescu(ithil: Ithil, dcmtk: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """dcmtk's storescu sends each transfer syntax with an option of its own, and rewrites group lengths."""
    for name, option in (
        ("pydicom/CT_small.dcm", "-R"),
        ("pydicom-data/JPEG-LL.dcm", "-xs"),
        ("pydicom/JPEG2000.dcm", "-xw"),
        ("pydicom/SC_rgb_rle.dcm", "-xr"),
        ("pydicom/MR_small_bigendian.dcm", "-xb"),
    ):
        done = dcmtk("storescu", option, "-aec", "ORTHANC", "127.0.0.1", ithil.dicom_port, path_of(name))
        assert done.returncode == 0, (name, done.stderr)
    assert count(ithil) == 5
    assert count(ithil, "CountPatients") >= 3


def test_real_files_by_pynetdicom_come_back_byte_for_byte(
    ithil: Ithil, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pynetdicom import _config

    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    entity = AE("TESTER")
    paths = [path_of(name) for name in FILES]
    scans = [scan(path.read_bytes(), frozenset()) for path in paths]
    entity.requested_contexts = [
        build_context(*pair)
        for pair in dict.fromkeys(
            (found.media_storage_sop_class_uid, found.transfer_syntax_uid) for found in scans
        )
    ]
    association = entity.associate("127.0.0.1", ithil.dicom_port, ae_title="ORTHANC")
    assert association.is_established
    for path in paths:
        assert association.send_c_store(path).Status == 0x0000
    association.release()
    assert count(ithil) == len(FILES)
    assert stored_data_sets(ithil) == {data_set_of(path) for path in paths}
    assert len(stored_files(ithil)) == len(FILES)
    metadata = ithil.get(f"/instances/{ithil.get('/instances').json()[0]}/metadata?expand").json()
    assert (metadata["RemoteAET"], metadata["CalledAET"], metadata["Origin"], metadata["RemoteIP"]) == (
        "TESTER",
        "ORTHANC",
        "DicomProtocol",
        "127.0.0.1",
    )


def test_the_same_file_again_is_a_success(
    ithil: Ithil, dcmtk: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    for _ in range(3):
        done = dcmtk("storescu", "127.0.0.1", ithil.dicom_port, path_of("pydicom/CT_small.dcm"))
        assert done.returncode == 0
    assert count(ithil) == 1
    assert len(stored_files(ithil)) == 1
