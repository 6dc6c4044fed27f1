"""Pictures as real clients ask for them: dicomweb-client, and the requests of viewers, against real servers."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from tests.data.real import content_of
from tests.servers.ithil import Ithil

US = (
    "1.2.840.114340.3.8251017118051.1.20160503.120850.2171",
    "1.2.840.114340.3.8251017118051.2.20160503.120850.2171",
    "1.2.840.114340.3.8251017118051.3.20160503.121539.16117.4",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ithil]:
    with Ithil(tmp_path_factory.mktemp("rendered")) as started:
        started.upload(content_of("pydicom/examples_ybr_color.dcm"))
        yield started


@pytest.fixture(scope="module")
def root(server: Ithil) -> str:
    return f"http://127.0.0.1:{server.http_port}/dicom-web"


def shown(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_dicomweb_client_gets_pictures(root: str) -> None:
    client = DICOMwebClient(root)
    for media_types in (None, ("image/jpeg",), ("image/png",), ("image/png", "image/jpeg")):
        picture = client.retrieve_instance_rendered(*US, media_types=media_types)
        assert shown(picture).shape == (240, 320, 3)
        frame = client.retrieve_instance_frames_rendered(*US, frame_numbers=[7], media_types=media_types)
        assert shown(frame).shape == (240, 320, 3)
    small = client.retrieve_instance_rendered(
        *US, media_types=("image/jpeg",), params={"viewport": "64,64", "quality": 95}
    )
    assert shown(small).shape == (48, 64, 3)
    assert shown(client.retrieve_series_rendered(*US[:2], media_types=("image/jpeg",))).shape == (240, 320, 3)


def test_a_browser_keeps_a_thumbnail(root: str) -> None:
    url = f"{root}/studies/{US[0]}/thumbnail"
    browsers = {"Accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"}
    first = requests.get(url, headers=browsers, timeout=30)
    assert shown(first.content).shape == (96, 128, 3)
    again = requests.get(url, headers={**browsers, "If-None-Match": first.headers["ETag"]}, timeout=30)
    assert (again.status_code, again.content) == (304, b"")


def test_a_cine_loop_as_an_animation(root: str) -> None:
    url = f"{root}/studies/{US[0]}/series/{US[1]}/instances/{US[2]}/rendered?viewport=80,80"
    answer = requests.get(url, headers={"Accept": "image/gif"}, timeout=60)
    moving = Image.open(io.BytesIO(answer.content))
    assert (getattr(moving, "n_frames", 0), moving.size) == (30, (80, 60))


def test_all_frames_in_parts(root: str) -> None:
    url = f"{root}/studies/{US[0]}/series/{US[1]}/instances/{US[2]}/rendered"
    answer = requests.get(url, headers={"Accept": 'multipart/related; type="image/jpeg"'}, timeout=60)
    assert answer.content.count(b"Content-Type: image/jpeg\r\n") == 30


def test_wado_uri_as_older_viewers_ask_it(server: Ithil) -> None:
    arguments = {
        "requestType": "WADO",
        **dict(zip(("studyUID", "seriesUID", "objectUID"), US, strict=True)),
    }
    url = f"http://127.0.0.1:{server.http_port}/wado"
    picture = requests.get(url, {**arguments, "rows": "120", "frameNumber": "3"}, timeout=30)
    assert shown(picture.content).shape == (120, 160, 3)
    file = requests.get(url, {**arguments, "contentType": "application/dicom"}, timeout=30)
    assert file.content == content_of("pydicom/examples_ybr_color.dcm")
