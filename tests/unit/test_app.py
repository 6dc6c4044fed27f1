"""Listening sockets."""

from __future__ import annotations

import socket

import pytest
from tests.servers.ports import free_ports

from ithil.app import Listeners, StartError
from ithil.settings import Settings


def test_both_servers_listen_on_their_ports() -> None:
    http, dicom = free_ports(2)
    listeners = Listeners(Settings(http_port=http, dicom_port=dicom, http_bind_addresses=["127.0.0.1"]))
    try:
        assert {one.getsockname()[0] for one in listeners.http} == {"127.0.0.1"}
        assert "0.0.0.0" in {one.getsockname()[0] for one in listeners.dicom}
        assert {one.getsockname()[1] for one in listeners.http} == {http}
    finally:
        for one in (*listeners.http, *listeners.dicom):
            one.close()


def test_servers_that_are_switched_off_have_no_socket() -> None:
    listeners = Listeners(Settings(http_server_enabled=False, dicom_server_enabled=False))
    assert listeners.http == listeners.dicom == []


def test_a_taken_port_names_the_option() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        (free,) = free_ports(1)
        with pytest.raises(StartError, match="HttpPort"):
            Listeners(Settings(http_port=other.getsockname()[1], dicom_port=free))
