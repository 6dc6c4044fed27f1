"""A person finds a CT series in OHIF as Ithil serves it, opens it, and sees its pictures."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from playwright.sync_api import Error
from tests.conftest import StartIthil
from tests.data.real import content_of, path_of
from tests.e2e import pictures
from tests.e2e.conftest import COMPRESSED, PASSWORD, USER, NewContext
from tests.e2e.viewer import Viewer
from tests.servers.ithil import Ithil
from tests.servers.web import basic_authorization

PDF = (
    b"%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n"
) + b"% long enough to be bulk data\n" * 1000
SIGNED_IN = {"username": USER, "password": PASSWORD}


def test_a_study_is_found_in_the_list_opened_and_scrolled(
    archive: Ithil, new_context: NewContext, screenshots: Path | None
) -> None:
    viewer = Viewer(new_context(http_credentials=SIGNED_IN), archive.http_port)
    viewer.open("/")
    viewer.page.get_by_role("link", name="OHIF").click()
    row = viewer.page.get_by_text("Orientations").first
    row.wait_for()
    viewer.page.get_by_role("button", name="Confirm and hide").click()
    row.dblclick()
    viewer.page.wait_for_url(f"**/ohif/viewer*{pictures.STUDY}*")
    viewer.page.get_by_text("Skip all").click()

    slices = pictures.expected()
    viewer.wait_for(0, lambda: viewer.shown(slices))
    viewer.scroll(1)
    viewer.wait_for(1, lambda: viewer.shown(slices))
    viewer.scroll(4)
    viewer.wait_for(5, lambda: viewer.shown(slices))
    viewer.scroll(-5)
    viewer.wait_for(0, lambda: viewer.shown(slices))
    assert viewer.page.evaluate("crossOriginIsolated")
    assert viewer.problems == []
    if screenshots is not None:
        viewer.page.mouse.move(0, 0)
        viewer.screenshot(screenshots / "ohif.png")


def test_a_link_opens_a_study_in_which_the_browser_decodes(archive: Ithil, new_context: NewContext) -> None:
    image = pictures.dataset(content_of(COMPRESSED))
    found = archive.ask("POST", "/tools/lookup", image.StudyInstanceUID, user=(USER, PASSWORD)).json()
    viewer = Viewer(new_context(http_credentials=SIGNED_IN), archive.http_port)
    viewer.open(f"{found[0]['Path']}/ohif")
    viewer.page.wait_for_url(f"**/ohif/viewer?StudyInstanceUIDs={image.StudyInstanceUID}")
    viewer.wait_for(0, lambda: viewer.shown([pictures.look(image)]))
    assert any(path.endswith("/frames/1") for path in viewer.requested)
    assert viewer.problems == []


def test_a_pdf_is_shown(archive: Ithil, new_context: NewContext) -> None:
    document = base64.b64encode(PDF).decode()
    made = archive.ask(
        "POST",
        "/tools/create-dicom",
        json.dumps({"Tags": {"PatientID": "PDF"}, "Content": f"data:application/pdf;base64,{document}"}),
        user=(USER, PASSWORD),
    ).json()
    viewer = Viewer(new_context(http_credentials=SIGNED_IN), archive.http_port)
    viewer.open(f"/studies/{made['ParentStudy']}/ohif")
    viewer.page.locator('object[type="application/pdf"][data^="blob:"]').wait_for(state="attached")
    # The browser shows documents in a frame of its own, unless it may not show them.
    viewer.wait_for(True, lambda: any(one.url.startswith("chrome-ext") for one in viewer.page.frames))
    assert viewer.problems == []


def test_a_file_is_uploaded_and_found(archive: Ithil, new_context: NewContext) -> None:
    viewer = Viewer(new_context(http_credentials=SIGNED_IN), archive.http_port)
    viewer.open("/ohif/")
    viewer.page.get_by_role("button", name="Confirm and hide").click()
    viewer.page.get_by_text("Upload").first.click()
    viewer.page.locator("input[type=file]").first.set_input_files([path_of("pydicom/MR_small.dcm")])
    question = json.dumps({"Level": "Instance", "Query": {"PatientID": "4MR1"}})

    def stored() -> int:
        return len(archive.ask("POST", "/tools/find", question, user=(USER, PASSWORD)).json())

    viewer.wait_for(1, stored)
    assert viewer.problems == []


def test_the_series_has_a_thumbnail(archive: Ithil, new_context: NewContext) -> None:
    viewer = Viewer(new_context(http_credentials=SIGNED_IN), archive.http_port)
    viewer.open(f"/ohif/viewer?StudyInstanceUIDs={pictures.STUDY}")
    drawn = '() => [...document.querySelectorAll("img")].some(i => i.src.startsWith("blob:") && i.naturalWidth > 50)'
    viewer.wait_for(True, lambda: bool(viewer.page.evaluate(drawn)))
    assert any("/thumbnail" in path for path in viewer.requested)
    assert viewer.problems == []


def test_a_study_without_modality_does_not_break_the_list(
    start_ithil: StartIthil, new_context: NewContext
) -> None:
    server = start_ithil()
    for name in ("pydicom/GDCMJ2K_TextGBR.dcm", "pydicom/CT_small.dcm"):
        assert server.upload(content_of(name)).status == 200
    viewer = Viewer(new_context(), server.http_port)
    viewer.open("/ohif/")
    viewer.page.get_by_text("CompressedSamples").first.wait_for(timeout=30_000)
    assert viewer.problems == []


def test_what_never_changes_is_loaded_once(archive: Ithil, new_context: NewContext) -> None:
    # With `http_credentials`, Playwright looks into every request, and Chromium keeps nothing then.
    context = new_context(extra_http_headers=basic_authorization(USER, PASSWORD))
    first = Viewer(context, archive.http_port)
    first.open("/ohif/")
    first.page.get_by_text("Orientations").first.wait_for()
    again = Viewer(context, archive.http_port)
    again.open("/ohif/")
    again.page.get_by_text("Orientations").first.wait_for()
    sizes = again.page.evaluate(
        '() => performance.getEntriesByType("resource").filter(e => /bundle\\.[0-9a-f]{16}\\.js/.test(e.name))'
        ".map(e => e.transferSize)"
    )
    assert len(sizes) > 5
    assert set(sizes) == {0}


def test_who_has_no_credentials_is_asked_for_them(archive: Ithil, new_context: NewContext) -> None:
    page = new_context().new_page()
    with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):  # a browser with a window asks its user
        page.goto(f"http://127.0.0.1:{archive.http_port}/ohif/")
