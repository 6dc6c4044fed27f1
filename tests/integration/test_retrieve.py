"""C-MOVE and C-GET with the field's own tools on the other side: dcmtk, pynetdicom, and Orthanc both ways."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, StoragePresentationContexts, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
from tests.conftest import StartIthil, StartOrthanc
from tests.data import synthetic
from tests.data.real import content_of
from tests.integration.sending import count, eventually, instance_id
from tests.servers.ports import free_ports
from tests.servers.process import DicomServer

Run = Callable[..., subprocess.CompletedProcess[str]]

LOOPBACK = "127.0.0.1"
STUDY = synthetic.instance(0, 0, 0).study_uid


@pytest.fixture
def dcmtk() -> Run:
    """Runs one of dcmtk's programs."""

    def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        found = shutil.which(program)
        assert found is not None, "dcmtk is not installed: `make test` installs it"
        return subprocess.run(
            [found, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
        )

    return run


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[int]:
    """dcmtk's storage provider; its port, once it listens."""
    program = shutil.which("storescp")
    assert program is not None, "dcmtk is not installed: `make test` installs it"
    folder.mkdir()
    (port,) = free_ports(1)
    command = [program, "--output-directory", str(folder), "-aet", "STORESCP", *options, str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:
        try:
            eventually(lambda: echoes(port), "storescp does not start")
            yield port
        finally:
            process.terminate()


def echoes(port: int) -> bool:
    program = shutil.which("echoscu")
    assert program is not None
    return subprocess.run([program, LOOPBACK, str(port)], capture_output=True, check=False).returncode == 0


def configuration(**modalities: int) -> dict[str, Any]:
    """Everything allowed to everybody, and modalities by their title and port."""
    return {
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomAlwaysAllowFind": True,
        "AuthenticationEnabled": False,
        "DicomModalities": {title.lower(): [title, LOOPBACK, port] for title, port in modalities.items()},
    }


def fill(server: DicomServer, *contents: bytes) -> None:
    for content in contents:
        assert server.upload(content).status == 200


def study(series: int = 2, instances: int = 3) -> list[synthetic.Synthetic]:
    return list(synthetic.study(series, instances))


def keys(level: str, **values: str) -> list[str]:
    """Keys as dcmtk's tools take them."""
    pairs = {"QueryRetrieveLevel": level, **values}
    return [part for key, value in pairs.items() for part in ("-k", f"{key}={value}")]


def pixels(folder: Path) -> dict[str, bytes]:
    """The pixel data of all files in a folder, by SOP Instance UID."""
    found = {}
    for path in folder.iterdir():
        read = pydicom.dcmread(path, force=True)
        found[str(read.SOPInstanceUID)] = bytes(read.PixelData)
    return found


def originals(every: list[synthetic.Synthetic]) -> dict[str, bytes]:
    return {one.sop_uid: bytes(pydicom.dcmread(io.BytesIO(one.content)).PixelData) for one in every}


@pytest.mark.parametrize("options", [(), ("-xi",), ("--max-pdu", "4096")])
def test_movescu_to_storescp(
    start_ithil: StartIthil, dcmtk: Run, tmp_path: Path, options: tuple[str, ...]
) -> None:
    folder = tmp_path / "received"
    accept = {"-xi": "+xi"}
    with storescp(folder, *(accept.get(one, one) for one in options)) as port:
        ithil = start_ithil(configuration(STORESCP=port))
        every = study()
        fill(ithil, *(one.content for one in every))
        done = dcmtk(
            *("movescu", "-v", "-S", "-aem", "STORESCP", "-aec", "ORTHANC", LOOPBACK, ithil.dicom_port),
            *keys("STUDY", StudyInstanceUID=STUDY),
        )
        assert done.returncode == 0, done.stderr
        assert "Received Final Move Response (Success)" in done.stdout + done.stderr
        eventually(lambda: len(list(folder.iterdir())) == len(every), "not everything has arrived")
    assert pixels(folder) == originals(every)


def test_movescu_that_receives_itself(start_ithil: StartIthil, dcmtk: Run, tmp_path: Path) -> None:
    """A workstation is often the destination of its own request, in one thread: it must not have to wait."""
    (port,) = free_ports(1)
    ithil = start_ithil(configuration(MOVESCU=port))
    every = study()
    fill(ithil, *(one.content for one in every))
    folder = tmp_path / "received"
    folder.mkdir()
    for _ in range(2):
        done = dcmtk(
            *("movescu", "-v", "-S", "-aem", "MOVESCU", "--port", port, "-od", folder, "-aec", "ORTHANC"),
            *(LOOPBACK, ithil.dicom_port, *keys("STUDY", StudyInstanceUID=STUDY)),
        )
        assert done.returncode == 0, done.stderr
        assert pixels(folder) == originals(every)


def test_getscu(start_ithil: StartIthil, dcmtk: Run, tmp_path: Path) -> None:
    ithil = start_ithil(configuration())
    every = study()
    fill(ithil, *(one.content for one in every))
    folder = tmp_path / "received"
    folder.mkdir()
    done = dcmtk(
        *("getscu", "-v", "-S", "-od", folder, "-aec", "ORTHANC", LOOPBACK, ithil.dicom_port),
        *keys("STUDY", StudyInstanceUID=STUDY),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"Number of Completed Suboperations : 6", done.stdout + done.stderr)
    assert pixels(folder) == originals(every)


def test_getscu_of_a_compressed_image(start_ithil: StartIthil, dcmtk: Run, tmp_path: Path) -> None:
    """getscu accepts no compression unless it is told to: it gets the image uncompressed."""
    ithil = start_ithil(configuration())
    content = content_of("pydicom/SC_rgb_rle.dcm")
    fill(ithil, content)
    original = pydicom.dcmread(io.BytesIO(content))
    folder = tmp_path / "received"
    folder.mkdir()
    done = dcmtk(
        *("getscu", "-S", "-od", folder, "-aec", "ORTHANC", LOOPBACK, ithil.dicom_port),
        *keys("STUDY", StudyInstanceUID=str(original.StudyInstanceUID)),
    )
    assert done.returncode == 0, done.stderr
    (path,) = folder.iterdir()
    read = pydicom.dcmread(path)
    assert not read.file_meta.TransferSyntaxUID.is_compressed
    assert (read.pixel_array == original.pixel_array).all()


def study_keys() -> Dataset:
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.StudyInstanceUID = STUDY
    return asked


def test_pynetdicom_gets_with_role_selection(start_ithil: StartIthil) -> None:
    ithil = start_ithil(configuration())
    every = study()
    fill(ithil, *(one.content for one in every))
    received: dict[str, bytes] = {}

    def on_store(event: Any) -> int:
        received[str(event.request.AffectedSOPInstanceUID)] = event.request.DataSet.getvalue()
        return 0x0000

    entity = AE("WORKSTATION")
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    entity.add_requested_context(CTImageStorage)
    association = entity.associate(
        LOOPBACK,
        ithil.dicom_port,
        ae_title="ORTHANC",
        ext_neg=[build_role(CTImageStorage, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, on_store)],
    )
    assert association.is_established
    responses = list(association.send_c_get(study_keys(), StudyRootQueryRetrieveInformationModelGet))
    association.release()
    assert [one.Status for one, _ in responses] == [0xFF00] * 5 + [0x0000]
    assert responses[-1][0].NumberOfCompletedSuboperations == 6
    assert set(received) == {one.sop_uid for one in every}


def test_pynetdicom_receives_who_asked_for_the_move(start_ithil: StartIthil) -> None:
    stored: list[Any] = []

    def on_store(event: Any) -> int:
        stored.append(event.request)
        return 0x0000 if len(stored) != 2 else 0xA700

    receiver = AE("RECEIVER")
    receiver.supported_contexts = StoragePresentationContexts
    server = receiver.start_server((LOOPBACK, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)])
    try:
        assert server is not None
        ithil = start_ithil(configuration(RECEIVER=server.socket.getsockname()[1]))
        every = study(1, 3)
        fill(ithil, *(one.content for one in every))
        entity = AE("WORKSTATION")
        entity.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
        association = entity.associate(LOOPBACK, ithil.dicom_port, ae_title="ORTHANC")
        responses = list(
            association.send_c_move(
                study_keys(), "RECEIVER", StudyRootQueryRetrieveInformationModelMove, msg_id=11
            )
        )
        association.release()
    finally:
        server.shutdown()
    final, failures = responses[-1]
    assert final.Status == 0xB000
    assert (final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (2, 1)
    assert failures.FailedSOPInstanceUIDList == every[1].sop_uid
    assert [one.AffectedSOPInstanceUID for one in stored] == [one.sop_uid for one in every]
    assert {one.MoveOriginatorApplicationEntityTitle.strip() for one in stored} == {"WORKSTATION"}
    assert {one.MoveOriginatorMessageID for one in stored} == {11}


def test_orthanc_is_sent_to_and_asks(start_ithil: StartIthil, start_orthanc: StartOrthanc) -> None:
    """Orthanc asks Ithil for a study to be moved to itself, and Ithil asks for nothing back."""
    orthanc = start_orthanc(configuration())
    ithil = start_ithil({**configuration(ORTHANC=orthanc.dicom_port), "DicomAet": "ITHIL"})
    every = study()
    fill(ithil, *(one.content for one in every), content_of("pydicom/JPEG2000.dcm"))
    modality = f'["ITHIL", "{LOOPBACK}", {ithil.dicom_port}]'
    assert orthanc.ask("PUT", "/modalities/ithil", modality).status == 200
    body = '{"Level": "Study", "Resources": [{"StudyInstanceUID": "%s"}], "TargetAet": "ORTHANC"}'
    moved = orthanc.ask("POST", "/modalities/ithil/move", body % STUDY)
    assert moved.status == 200, moved.body
    assert count(orthanc) == len(every)
    for one in every:  # Orthanc writes the header anew
        received = pydicom.dcmread(io.BytesIO(orthanc.get(f"/instances/{instance_id(one)}/file").body))
        assert bytes(received.PixelData) == originals([one])[one.sop_uid]


def test_ithil_receives_what_orthanc_moves(
    start_ithil: StartIthil, start_orthanc: StartOrthanc, dcmtk: Run
) -> None:
    ithil = start_ithil({**configuration(), "DicomAet": "ITHIL"})
    orthanc = start_orthanc(configuration(ITHIL=ithil.dicom_port))
    every = study()
    fill(orthanc, *(one.content for one in every))
    done = dcmtk(
        *("movescu", "-S", "-aem", "ITHIL", "-aec", "ORTHANC", LOOPBACK, orthanc.dicom_port),
        *keys("STUDY", StudyInstanceUID=STUDY),
    )
    assert done.returncode == 0, done.stderr
    assert count(ithil) == len(every)


def test_an_asynchronous_move_is_done_by_a_job(start_ithil: StartIthil, dcmtk: Run, tmp_path: Path) -> None:
    folder = tmp_path / "received"
    with storescp(folder) as port:
        ithil = start_ithil({**configuration(STORESCP=port), "SynchronousCMove": False})
        every = study()
        fill(ithil, *(one.content for one in every))
        done = dcmtk(
            *("movescu", "-v", "-S", "-aem", "STORESCP", "-aec", "ORTHANC", LOOPBACK, ithil.dicom_port),
            *keys("STUDY", StudyInstanceUID=STUDY),
        )
        assert done.returncode == 0, done.stderr
        eventually(lambda: len(list(folder.iterdir())) == len(every), "not everything has arrived")
        (job,) = ithil.get("/jobs?expand").json()
    assert (job["Type"], job["Content"]["Description"]) == ("DicomModalityStore", "C-MOVE")
