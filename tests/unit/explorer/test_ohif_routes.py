"""How the viewer is served: its files, its page under every address, its configuration, links to it."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.application import CT_STUDY, Client, MakeClient
from tests.unit.explorer.test_ohif_install import APP, BUILD, packed

from ithil.explorer.ohif.install import install
from ithil.settings.dicomweb_options import DicomWeb
from ithil.settings.explorer_options import Ohif
from ithil.settings.ithil_options import IthilSettings

SCRIPT = "/ohif/app.bundle.0123456789abcdef.js"
UID = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
PLAIN = {"accept-encoding": "identity"}


@pytest.fixture
def viewers(tmp_path: Path) -> Path:
    """A folder with an installed viewer: a small build of the same make."""
    package = tmp_path / "ohif.tgz"
    large = b"x" * 3_000_000
    integrity = packed(package, {**BUILD, "package/dist/fedcba9876543210.wasm": large[:1] + APP + large})
    install(tmp_path / "viewers", package, integrity)
    return tmp_path / "viewers"


@pytest.fixture
def viewer(make_client: MakeClient, viewers: Path) -> Client:
    """A client of a server that has a viewer."""
    return make_client(ithil=IthilSettings(ohif_directory=viewers))


def _config(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"].startswith("text/javascript")
    return dict(json.loads(answer.text.removeprefix("window.config = ").rstrip().rstrip(";")))


@pytest.mark.parametrize(
    "path",
    ["/ohif", "/ohif/", "/ohif/index.html", "/ohif/viewer?StudyInstanceUIDs=1.2", "/ohif/tmtv/dicomweb"],
)
def test_the_page_is_under_every_path_that_names_no_file(viewer: Client, path: str) -> None:
    answer = viewer.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f'src="{SCRIPT}"' in answer.text
    assert 'window.PUBLIC_URL="/ohif/"' in answer.text
    assert "<title>MyOrthanc - OHIF</title>" in answer.text
    assert "@ithil" not in answer.text


def test_all_that_the_page_names_is_there(viewer: Client) -> None:
    named = re.findall(r'(?:src|href)="([^"]+)"', viewer.get("/ohif/").text)
    assert named
    for path in named:
        assert viewer.get(path).status_code == 200, path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (SCRIPT, "text/javascript; charset=utf-8"),
        ("/ohif/app.bundle.css", "text/css; charset=utf-8"),
        ("/ohif/0123456789abcdef.wasm", "application/wasm"),
        ("/ohif/manifest.json", "application/json"),
        ("/ohif/assets/favicon.ico", "image/x-icon"),
    ],
)
def test_files_have_their_types(viewer: Client, path: str, kind: str) -> None:
    assert viewer.get(path).headers["content-type"] == kind


@pytest.mark.parametrize("path", ["/ohif/", SCRIPT, "/ohif/app-config.js", "/ohif/no/page"])
def test_every_answer_isolates_the_page(viewer: Client, path: str) -> None:
    headers = viewer.get(path).headers
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"


def test_other_answers_of_the_server_are_not_isolated(viewer: Client) -> None:
    assert "cross-origin-embedder-policy" not in viewer.get("/").headers
    assert "cross-origin-embedder-policy" not in viewer.get("/system").headers


def test_names_with_a_digest_are_kept_and_others_asked_for_again(viewer: Client) -> None:
    assert "immutable" in viewer.get(SCRIPT).headers["cache-control"]
    assert "immutable" in viewer.get("/ohif/0123456789abcdef.wasm").headers["cache-control"]
    for path in ("/ohif/", "/ohif/app.bundle.css", "/ohif/app-config.js", "/ohif/viewer"):
        assert viewer.get(path).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/ohif/", SCRIPT, "/ohif/app.bundle.css", "/ohif/app-config.js"])
def test_what_the_browser_has_is_not_sent_again(viewer: Client, path: str) -> None:
    first = viewer.get(path)
    again = viewer.get(path, headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == first.headers["cache-control"]
    other = viewer.get(path, headers={"if-none-match": '"other"'})
    assert other.status_code == 200


def test_who_takes_gzip_gets_it(viewer: Client, viewers: Path) -> None:
    packed_answer = viewer.get(SCRIPT, headers={"accept-encoding": "br, gzip;q=0.8"})
    plain = viewer.get(SCRIPT, headers=PLAIN)
    assert packed_answer.headers["content-encoding"] == "gzip"
    assert int(packed_answer.headers["content-length"]) < int(plain.headers["content-length"])
    assert packed_answer.content == plain.content  # httpx unpacks it
    assert packed_answer.headers["etag"] != plain.headers["etag"]
    assert plain.headers["vary"] == packed_answer.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in viewer.get(SCRIPT, headers={"accept-encoding": "gzip;q=0"}).headers


def test_head_says_what_get_would(viewer: Client) -> None:
    get, head = viewer.get(SCRIPT), viewer.request("HEAD", SCRIPT)
    assert head.content == b""
    assert head.headers == get.headers


def test_a_range_is_one_of_the_file_itself(viewer: Client) -> None:
    whole = viewer.get(SCRIPT, headers=PLAIN)
    part = viewer.get(SCRIPT, headers={"range": "bytes=5-20", "accept-encoding": "gzip"})
    assert part.status_code == 206
    assert part.content == whole.content[5:21]
    assert part.headers["content-range"] == f"bytes 5-20/{len(whole.content)}"
    assert viewer.get(SCRIPT, headers={"range": "bytes=99999999-"}).status_code == 416
    changed = viewer.get(SCRIPT, headers={"range": "bytes=5-20", "if-range": '"other"'})
    assert changed.status_code == 200
    assert changed.content == whole.content


def test_a_large_file_arrives_whole(viewer: Client, viewers: Path) -> None:
    for encoding in ("identity", "gzip"):
        answer = viewer.get("/ohif/fedcba9876543210.wasm", headers={"accept-encoding": encoding})
        assert answer.status_code == 200
        assert answer.content == b"x" + APP + b"x" * 3_000_000


@pytest.mark.parametrize(
    "path",
    [
        "/ohif/missing.js",
        "/ohif/files.json",
        "/ohif/app.bundle.0123456789abcdef.js.gz",
        "/ohif/..%2ffiles.json",
        "/ohif/%2e%2e/files.json",
        "/ohif/..%5c..%5cfiles.json",
        "/ohif/assets/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fhost.conf",
        "/ohif/assets/%2fetc%2fhost.conf",
        "/ohif/x%00.js",
    ],
)
def test_nothing_else_of_the_disk_is_served(viewer: Client, path: str) -> None:
    assert viewer.get(path).status_code == 404


def test_the_viewer_is_configured_for_this_server(viewer: Client) -> None:
    config = _config(viewer.get("/ohif/app-config.js"))
    assert config["routerBasename"] == "/ohif"
    source = config["dataSources"][0]
    assert config["defaultDataSourceName"] == source["sourceName"]
    options = source["configuration"]
    assert options["qidoRoot"] == options["wadoRoot"] == "/dicom-web"
    assert options["wadoUriRoot"] == "/wado"
    assert options["friendlyName"] == "MyOrthanc"
    assert options["dicomUploadEnabled"] is True


def test_the_settings_are_followed(make_client: MakeClient, viewers: Path) -> None:
    client = make_client(
        ithil=IthilSettings(ohif_directory=viewers),
        name="</script> & Co",
        read_only=True,
        dicom_web=DicomWeb(root="/web/dicom/", wado_root="/old/wado"),
    )
    answer = client.get("/ohif/app-config.js")
    assert "</script>" not in answer.text
    options = _config(answer)["dataSources"][0]["configuration"]
    assert options["qidoRoot"] == options["wadoRoot"] == "/web/dicom"
    assert options["wadoUriRoot"] == "/old/wado"
    assert options["friendlyName"] == "</script> & Co"
    assert options["dicomUploadEnabled"] is False
    assert "<title>&lt;/script&gt; &amp; Co - OHIF</title>" in client.get("/ohif/").text


def test_behind_a_proxy_with_a_prefix_all_addresses_have_it(viewer: Client) -> None:
    proxied = {"x-forwarded-prefix": "/archive", "x-forwarded-host": "pacs.example.org"}
    page = viewer.get("/ohif/viewer", headers=proxied).text
    assert f'src="/archive{SCRIPT}"' in page
    assert 'window.PUBLIC_URL="/archive/ohif/"' in page
    config = _config(viewer.get("/ohif/app-config.js", headers=proxied))
    assert config["routerBasename"] == "/archive/ohif"
    assert config["dataSources"][0]["configuration"]["wadoRoot"] == "/archive/dicom-web"
    assert config["dataSources"][0]["configuration"]["wadoUriRoot"] == "/archive/wado"


def test_behind_a_proxy_that_does_not_tell_the_settings_do(make_client: MakeClient, viewers: Path) -> None:
    client = make_client(
        ithil=IthilSettings(ohif_directory=viewers),
        ohif=Ohif(router_basename="/archive/viewer/"),
        dicom_web=DicomWeb(public_root="/archive/dicom-web/"),
    )
    assert f'src="/archive/viewer/{SCRIPT.removeprefix("/ohif/")}"' in client.get("/ohif/").text
    config = _config(client.get("/ohif/app-config.js"))
    assert config["routerBasename"] == "/archive/viewer"
    assert config["dataSources"][0]["configuration"]["wadoRoot"] == "/archive/dicom-web"


def test_the_operators_script_is_laid_over_the_settings(
    make_client: MakeClient, viewers: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.js"
    own.write_text("window.config.showStudyList = false; // mine")
    client = make_client(ithil=IthilSettings(ohif_directory=viewers), ohif=Ohif(user_configuration=own))
    text = client.get("/ohif/app-config.js").text
    assert text.index('"showStudyList": true') < text.index("showStudyList = false; // mine")
    assert text.rstrip().endswith("routerBasename: window.ithilConfig.routerBasename };")
    own.unlink()
    assert "console.error(" in client.get("/ohif/app-config.js").text


@pytest.mark.parametrize("path", ["/ohif", "/ohif/viewer", SCRIPT, "/ohif/app-config.js"])
def test_without_the_package_a_page_says_how_to_get_it(
    make_client: MakeClient, tmp_path: Path, path: str
) -> None:
    client = make_client(ithil=IthilSettings(ohif_directory=tmp_path / "nothing"))
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "ithil viewer install" in answer.text
    assert "npm pack @ohif/app@3.13.2" in answer.text


def test_a_viewer_that_is_installed_while_the_server_runs_is_seen(
    make_client: MakeClient, tmp_path: Path
) -> None:
    client = make_client(ithil=IthilSettings(ohif_directory=tmp_path / "viewers"))
    assert client.get("/ohif/").status_code == 404
    package = tmp_path / "ohif.tgz"
    install(tmp_path / "viewers", package, packed(package, BUILD))
    assert client.get("/ohif/").status_code == 200


def test_without_dicomweb_the_page_says_so(make_client: MakeClient, viewers: Path) -> None:
    client = make_client(ithil=IthilSettings(ohif_directory=viewers), dicom_web=DicomWeb(enable=False))
    assert "DicomWeb.Enable" in client.get("/ohif/viewer").text


def test_a_study_leads_to_itself_in_the_viewer(viewer: Client, ct: bytes) -> None:
    viewer.post("/instances", content=ct)
    answer = viewer.get(f"/studies/{CT_STUDY}/ohif")
    assert answer.status_code == 302
    assert answer.headers["location"] == f"/ohif/viewer?StudyInstanceUIDs={UID}"
    proxied = viewer.get(f"/studies/{CT_STUDY}/ohif", headers={"x-forwarded-prefix": "/archive"})
    assert proxied.headers["location"] == f"/archive/ohif/viewer?StudyInstanceUIDs={UID}"
    assert viewer.get("/studies/none/ohif").status_code == 404


def test_users_sign_in_for_the_viewer_too(make_client: MakeClient, viewers: Path) -> None:
    client = make_client(
        ithil=IthilSettings(ohif_directory=viewers),
        authentication_enabled=True,
        registered_users={"alice": "secret"},
    )
    assert client.get("/ohif/").status_code == 401
    assert client.get(SCRIPT).status_code == 401
    client.auth = ("alice", "secret")
    assert client.get("/ohif/").status_code == 200


def test_the_page_of_the_server_leads_to_the_viewer(viewer: Client) -> None:
    assert 'href="ohif/"' in viewer.get("/").text


def test_the_compressed_form_is_the_file(viewer: Client, viewers: Path) -> None:
    stored = next(viewers.glob("*/files/app.bundle.*.js.gz")).read_bytes()
    assert gzip.decompress(stored) == viewer.get(SCRIPT, headers=PLAIN).content
