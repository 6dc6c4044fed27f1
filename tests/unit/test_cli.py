"""The commands as a user types them: help, version, `config check`, `check`, and how `serve` starts and stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import StartIthil
from tests.data import synthetic
from tests.servers.ithil import Ithil

from ithil import __version__
from ithil.archive.archive import Archive
from ithil.archive.ingest import store
from ithil.archive.model import Origin
from ithil.settings import load


def run(*arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `ithil` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ithil", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        check=False,
    )


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """A configuration file for an archive in the test's folder."""
    path = tmp_path / "configuration.json"
    path.write_text(json.dumps({"StorageDirectory": str(tmp_path / "storage")}))
    return path


def filled(configuration: Path, count: int = 2) -> Archive:
    """The archive of a configuration with some instances in it."""
    archive = Archive.open(load([configuration], {}))
    for number in range(count):
        store(archive, synthetic.instance(0, 0, number, size=4).content, Origin())
    return archive


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "storage").rglob("*") if len(path.name) == 36]


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"Ithil {__version__}\n")


@pytest.mark.parametrize("command", [(), ("serve",), ("check",), ("config",), ("config", "check")])
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: ithil")


@pytest.mark.parametrize("arguments", [(), ("unknown",), ("config",), ("serve", "--http-port", "many")])
def test_what_cannot_be_understood_ends_with_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage" in done.stdout + done.stderr


def test_config_check_shows_the_configuration_without_its_secrets(configuration: Path) -> None:
    tree = json.loads(configuration.read_text())
    tree["PostgreSQL"] = {"Password": "hunter2"}
    tree["RegisteredUsers"] = {"anna": "swordfish"}
    configuration.write_text(json.dumps(tree))
    done = run("config", "check", configuration)
    assert done.returncode == 0, done.stdout
    assert "StorageDirectory" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert "swordfish" not in done.stdout + done.stderr


def test_a_wrong_configuration_is_told_and_nothing_starts(configuration: Path) -> None:
    configuration.write_text('{"DicomPort": "many"}')
    assert run("config", "check", configuration).returncode != 0
    done = run("serve", configuration)
    assert done.returncode == 2
    assert "DicomPort" in done.stderr
    assert "Traceback" not in done.stderr
    done = run("check", configuration)
    assert done.returncode == 2
    assert "DicomPort" in done.stderr


def test_a_missing_configuration_file_is_told(tmp_path: Path) -> None:
    done = run("serve", tmp_path / "none.json")
    assert done.returncode == 2
    assert "none.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_of_a_sound_archive(configuration: Path) -> None:
    filled(configuration).close()
    done = run("check", "--md5", configuration)
    assert done.returncode == 0
    assert "2 files are indexed." in done.stdout


def test_check_of_an_archive_that_lacks_a_file(configuration: Path, tmp_path: Path) -> None:
    filled(configuration).close()
    # Opening the archive writes again what a crash may have taken, so that has to be over.
    run("check", configuration)
    lost = files(tmp_path)[0]
    lost.unlink()
    done = run("check", configuration)
    assert done.returncode == 1
    assert "1 files are missing" in done.stdout
    assert lost.name in done.stdout


def test_check_of_a_damaged_file(configuration: Path, tmp_path: Path) -> None:
    filled(configuration).close()
    run("check", configuration)
    damaged = files(tmp_path)[0]
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    assert run("check", configuration).returncode == 0
    assert run("check", "--md5", configuration).returncode == 1


def test_check_removes_orphans_when_asked_to(configuration: Path, tmp_path: Path) -> None:
    archive = filled(configuration)
    writer = archive.storage.writer()
    writer.write(b"left by a crash")
    writer.finish()
    archive.close()
    assert len(files(tmp_path)) == 3
    done = run("check", configuration)
    assert (done.returncode, len(files(tmp_path))) == (0, 3)  # too young
    done = run("check", "--older-than", "0", configuration)
    assert done.returncode == 0
    assert writer.uuid in done.stdout
    assert "--remove-orphans" in done.stdout
    assert len(files(tmp_path)) == 3
    done = run("check", "--older-than", "0", "--remove-orphans", configuration)
    assert "1 orphans were removed" in done.stdout
    assert len(files(tmp_path)) == 2


def test_check_without_a_database_ends_with_2(tmp_path: Path) -> None:
    path = tmp_path / "configuration.json"
    postgresql = {"EnableIndex": True, "Host": "127.0.0.1", "Port": 1, "MaximumConnectionRetries": 0}
    path.write_text(json.dumps({"StorageDirectory": str(tmp_path / "storage"), "PostgreSQL": postgresql}))
    done = run("check", path)
    assert done.returncode == 2
    assert done.stderr.startswith("ithil: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["HttpPort", "DicomPort"])
def test_a_port_that_is_taken(configuration: Path, option: str) -> None:
    with socket.socket() as other, socket.socket() as spare:
        other.bind(("0.0.0.0", 0))
        other.listen()
        spare.bind(("127.0.0.1", 0))
        tree = json.loads(configuration.read_text())
        taken = other.getsockname()[1]
        free = spare.getsockname()[1]
        spare.close()
        tree |= {"HttpPort": free, "DicomPort": free, option: taken}
        configuration.write_text(json.dumps(tree))
        done = run("serve", configuration)
    assert done.returncode == 1
    assert str(taken) in done.stderr
    assert option in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_makes_everything_at_its_first_start_and_stops_in_order(start_ithil: StartIthil) -> None:
    server = start_ithil()
    assert (server.folder / "index" / "ithil.db").exists()
    stored = server.upload(synthetic.instance(0, 0, 0, size=4).content)
    assert stored.status == 200
    assert server.process is not None
    for number, expected in ((signal.SIGTERM, 0), (signal.SIGINT, 0)):
        process = server.process
        assert process is not None
        process.send_signal(number)
        assert process.wait(30) == expected
        assert "Traceback" not in server.log
        server.process = None
        server.start()
        assert server.get(f"/instances/{stored.json()['ID']}").status == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_lets_a_running_upload_end(start_ithil: StartIthil, workers: int) -> None:
    server = start_ithil({"Ithil": {"Workers": workers}})
    content = synthetic.instance(0, 0, 0, size=1500).content
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=30) as client:
        client.sendall(
            b"POST /instances HTTP/1.1\r\nHost: server\r\nContent-Length: %d\r\n\r\n" % len(content)
        )
        client.sendall(content[:3_400_000])
        # The first bytes are being written when the signal comes.
        wait_for_files(server)
        assert server.process is not None
        os.kill(server.pid, signal.SIGTERM)
        client.sendall(content[3_400_000:])
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200")
    assert server.process.wait(30) == 0
    server.process = None
    server.start()
    assert server.get("/statistics").json()["CountInstances"] == 1


def wait_for_files(server: Ithil) -> None:
    """Wait until something lies in the storage."""
    until = time.monotonic() + 30
    while not files(server.folder):
        assert time.monotonic() < until
        time.sleep(0.01)
