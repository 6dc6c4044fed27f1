"""A full disk, a storage folder that cannot be written, a lost database: out of resources, and then recovery.

A status of success is only ever given for what is stored; when the trouble is over the server goes on by itself.
"""

from __future__ import annotations

import resource

import psutil
from tests.conftest import StartIthil
from tests.data import synthetic
from tests.integration.sending import (
    associate,
    count,
    data_set,
    eventually,
    store,
    stored_data_set,
    stored_files,
)
from tests.servers.ithil import Ithil
from tests.servers.postgresql import PostgreSql

from ithil.network.requestor import Requestor

OUT_OF_RESOURCES = 0xA700


def assert_serves_again(server: Ithil, peer: Requestor, stored: int) -> None:
    """An association that went through the trouble still works, and so does a new one."""
    first, second = synthetic.instance(50, 0, 0, size=4), synthetic.instance(50, 0, 1, size=4)
    assert store(peer, first) == 0
    peer.release()
    with associate(server) as another:
        assert store(another, second) == 0
    assert count(server) == stored + 2
    assert stored_data_set(server, second) == data_set(second.content)
    eventually(
        lambda: len(stored_files(server)) == stored + 2, "each row has its file and nothing else is left"
    )


def test_a_full_disk(ithil: Ithil) -> None:
    """A limit on the size of files stands for the disk: it can be set for one process and taken away again."""
    process = psutil.Process(ithil.pid)
    large = synthetic.instance(0, 0, 0, size=1024)
    peer = associate(ithil)
    assert store(peer, synthetic.instance(1, 0, 0, size=4)) == 0
    before = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (1_500_000, before[1]))
    try:
        assert store(peer, large) == OUT_OF_RESOURCES
        assert ithil.upload(large.content).status == 507
        assert count(ithil) == 1
    finally:
        process.rlimit(resource.RLIMIT_FSIZE, before)
    assert_serves_again(ithil, peer, 1)
    with associate(ithil) as another:
        assert store(another, large) == 0
    assert stored_data_set(ithil, large) == data_set(large.content)


def test_a_storage_folder_that_cannot_be_used(ithil: Ithil) -> None:
    """A file in its place refuses root as well, for whom permissions do not count."""
    folder = ithil.folder / "storage"
    away = ithil.folder / "away"
    peer = associate(ithil)
    assert store(peer, synthetic.instance(1, 0, 0, size=4)) == 0
    folder.rename(away)
    folder.write_text("in the way")
    try:
        assert store(peer, synthetic.instance(1, 0, 1, size=4)) == OUT_OF_RESOURCES
        assert store(peer, synthetic.instance(1, 0, 1, size=1024)) == OUT_OF_RESOURCES
        assert ithil.upload(synthetic.instance(1, 0, 2, size=4).content).status == 500
        assert count(ithil) == 1
    finally:
        folder.unlink()
        away.rename(folder)
    assert_serves_again(ithil, peer, 1)


def test_a_database_that_goes_and_comes_back(start_ithil: StartIthil, postgresql: PostgreSql) -> None:
    server = start_ithil({"PostgreSQL": postgresql.configuration})
    peer = associate(server)
    assert store(peer, synthetic.instance(1, 0, 0, size=4)) == 0
    postgresql.halt("immediate")
    try:
        assert store(peer, synthetic.instance(1, 0, 1, size=4)) == OUT_OF_RESOURCES
        assert server.upload(synthetic.instance(1, 0, 2, size=4).content).status == 503
        assert server.get("/studies").status == 503
        assert server.get("/statistics").status == 503
        assert len(stored_files(server)) == 1
    finally:
        postgresql.restart()
    assert_serves_again(server, peer, 1)


def test_a_database_that_is_restarted_unnoticed(start_ithil: StartIthil, postgresql: PostgreSql) -> None:
    """Nobody asked while it was away, so nobody is refused afterwards."""
    server = start_ithil({"PostgreSQL": postgresql.configuration})
    peer = associate(server)
    assert store(peer, synthetic.instance(1, 0, 0, size=4)) == 0
    assert server.get("/studies?expand").status == 200
    postgresql.halt()
    postgresql.restart()
    assert server.get("/studies?expand").status == 200
    assert_serves_again(server, peer, 1)
