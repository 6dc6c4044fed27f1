"""Lost files of a study: what is left is shown, the answer says that it lacks something, and nobody keeps it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from httpx import Response
from tests.unit.application import Client, MakeClient
from tests.unit.dicomweb import images, parts
from tests.unit.dicomweb.images import STUDY, image, ramp, store

from ithil.archive import resources, retrieve
from ithil.dicom.level import Level
from ithil.dicomweb import metadata

JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'
OCTETS = 'multipart/related; type="application/octet-stream"'
PATH = f"{images.ROOT}/studies/{STUDY}"
ROUTES = [("metadata", JSON), ("metadata", XML), ("bulkdata", OCTETS)]

every_route = pytest.mark.parametrize(("name", "accept"), ROUTES)


def file_of(client: Client, uid: str) -> Path:
    """Where the file of an instance lies; it is in no cache any more."""
    archive = client.app.context.archive
    for instance in resources.list_ids(archive, Level.INSTANCE):
        if client.get(f"/instances/{instance}").json()["MainDicomTags"]["SOPInstanceUID"] == uid:
            file = retrieve.dicom_file(archive, instance)
            assert file is not None
            archive.cache.drop(file.uuid)
            return Path(archive.storage.path(file.uuid))
    raise AssertionError(uid)


def get(client: Client, name: str, accept: str, path: str = PATH, **headers: str) -> Response:
    return client.get(f"{path}/{name}", headers={"Accept": accept, **headers})


def count(answer: Response) -> int:
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"] == JSON:
        return len(answer.json())
    return len(parts.parts_of(answer))


def two_series(client: Client) -> None:
    store(client, image(ramp(), "1.2.3.4.51"), image(ramp(), "1.2.3.4.52", series="1.2.3.9"))


@every_route
def test_a_series_without_a_readable_file_leaves_the_others(client: Client, name: str, accept: str) -> None:
    two_series(client)
    file_of(client, "1.2.3.4.52").unlink()
    answer = get(client, name, accept)
    assert count(answer) == 1
    assert answer.headers["warning"] == '299 - "1 instances could not be read and are missing"'
    assert get(client, name, accept, f"{PATH}/series/1.2.3.9").status_code in (404, 500)


@every_route
def test_nothing_is_left(client: Client, name: str, accept: str) -> None:
    two_series(client)
    for uid in ("1.2.3.4.51", "1.2.3.4.52"):
        os.truncate(file_of(client, uid), 200)
    answer = get(client, name, accept)
    assert answer.status_code >= 400
    assert answer.headers["content-type"].startswith("application/json")


@every_route
def test_what_lacks_something_is_not_kept(client: Client, name: str, accept: str) -> None:
    two_series(client)
    file = file_of(client, "1.2.3.4.52")
    away = file.rename(file.with_name("away"))
    partial = get(client, name, accept)
    assert count(partial) == 1
    assert "etag" not in partial.headers
    away.rename(file)
    whole = get(client, name, accept)
    assert count(whole) == 2
    assert "warning" not in whole.headers


def test_a_client_with_a_part_does_not_hear_that_nothing_changed(client: Client) -> None:
    two_series(client)
    tags = {accept: get(client, "metadata", accept).headers["etag"] for accept in (JSON, XML)}
    for accept, tag in tags.items():
        assert get(client, "metadata", accept, **{"If-None-Match": tag}).status_code == 304
    store(client, image(ramp(), "1.2.3.4.53"))  # another version, of which no document is kept
    file = file_of(client, "1.2.3.4.53")
    away = file.rename(file.with_name("away"))
    for accept in (JSON, XML):
        assert count(get(client, "metadata", accept)) == 2
    away.rename(file)
    for accept, tag in tags.items():
        assert count(get(client, "metadata", accept, **{"If-None-Match": tag})) == 3


@pytest.mark.parametrize("accept", [JSON, XML])
def test_answers_that_are_made_while_they_are_sent(
    client: Client, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "LARGEST_AT_ONCE", 500)
    monkeypatch.setattr(metadata, "LARGEST_HELD", 500)
    two_series(client)
    store(client, image(ramp(), "1.2.3.4.53", series="1.2.3.8"))
    file_of(client, "1.2.3.4.52").unlink()
    answer = get(client, "metadata", accept)
    assert count(answer) == 2
    assert "warning" in answer.headers
    assert "etag" not in answer.headers


@pytest.mark.parametrize("accept", [JSON, XML])
def test_a_read_only_server_looks_again(make_client: MakeClient, accept: str) -> None:
    client = make_client()
    two_series(client)
    file = file_of(client, "1.2.3.4.51")
    away = file.rename(file.with_name("away"))
    folder = client.app.context.settings.storage_directory
    reading = make_client(storage_directory=folder, read_only=True)
    assert count(get(reading, "metadata", accept)) == 1
    away.rename(file)
    assert count(get(reading, "metadata", accept)) == 2


def test_all_that_can_be_read_has_no_bulk_data(client: Client, plan: bytes) -> None:
    store(client, plan)
    study = parts.instance_path(plan).partition("/series/")[0]
    uid = study.rpartition("/")[2]
    store(client, image(ramp(), "1.2.3.4.52", study=uid))
    file_of(client, "1.2.3.4.52").unlink()
    answer = get(client, "bulkdata", OCTETS, study)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "warning" in answer.headers
