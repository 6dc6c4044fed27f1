"""Presentation states, shown by their own address and applied by WADO-URI (PS3.4 N.2)."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from tests.unit.application import Client
from tests.unit.dicomweb.images import CT, SERIES, image, item, items, path, presentation, ramp, shown, store

STATE = f"{path('1.2.3.7.1', '1.2.3.7')}/rendered"
PNG = {"Accept": "image/png"}


def seen(
    client: Client, *, of: NDArray[np.unsignedinteger] | None = None, **state: object
) -> NDArray[np.uint8]:
    store(client, image(ramp() if of is None else of), presentation(**state))
    answer = client.get(STATE, headers=PNG)
    assert answer.status_code == 200, answer.text
    return shown(answer.content)


def window(center: float, width: float, **more: object) -> Dataset:
    return item(WindowCenter=center, WindowWidth=width, VOILUTFunction="LINEAR_EXACT", **more)


def test_its_window_takes_the_place_of_the_image_s(client: Client) -> None:
    result = seen(client, SoftcopyVOILUTSequence=items(window(100, 0.5)))
    assert np.array_equal(result > 127, ramp() >= 100)


def test_it_is_for_all_that_is_not_said_too(client: Client) -> None:
    # No modality LUT and no window mean that stored values are shown as they are, whatever the image says.
    small = np.array([[10, 35, 60]], np.uint8)
    assert seen(client, of=small).tolist() == [[0, 127, 255]]


def test_the_modality_s_slope(client: Client) -> None:
    voi = items(window(200, 100))
    small = np.array([[50, 75, 100, 125]], np.uint8)
    result = seen(client, of=small, RescaleSlope="2", RescaleIntercept="0", SoftcopyVOILUTSequence=voi)
    assert result.tolist() == [[0, 0, 128, 255]]


def test_inverted(client: Client) -> None:
    voi = items(window(127.5, 255))
    result = seen(client, SoftcopyVOILUTSequence=voi, PresentationLUTShape="INVERSE")
    assert np.array_equal(result, 255 - ramp())


def test_a_presentation_lut(client: Client) -> None:
    table = item(LUTDescriptor=[256, 0, 8], LUTData=bytes(range(255, -1, -1)))
    voi = items(window(127.5, 255))
    result = seen(client, SoftcopyVOILUTSequence=voi, PresentationLUTSequence=items(table))
    assert np.array_equal(result, 255 - ramp())


def test_a_voi_lut(client: Client) -> None:
    table = item(LUTDescriptor=[4, 0, 8], LUTData=bytes([0, 200, 100, 50]))
    small = np.array([[0, 1, 2, 3, 9]], np.uint8)
    result = seen(client, of=small, SoftcopyVOILUTSequence=items(item(VOILUTSequence=items(table))))
    assert result.tolist() == [[0, 200, 100, 50, 50]]


def test_the_item_that_is_for_the_image(client: Client) -> None:
    other = item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="9.9")
    own = item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.3.4.5")
    voi = items(
        window(10, 1, ReferencedImageSequence=items(other)),
        window(127.5, 255, ReferencedImageSequence=items(own)),
    )
    assert np.array_equal(seen(client, SoftcopyVOILUTSequence=voi), ramp())


FULL = {"SoftcopyVOILUTSequence": items(window(127.5, 255))}


def test_a_rectangular_shutter(client: Client) -> None:
    edges = {
        "ShutterLeftVerticalEdge": 11,
        "ShutterRightVerticalEdge": 20,
        "ShutterUpperHorizontalEdge": 5,
        "ShutterLowerHorizontalEdge": 8,
    }
    result = seen(client, ShutterShape="RECTANGULAR", ShutterPresentationValue=0x4000, **edges, **FULL)
    expected = np.full((32, 64), 0x40, np.uint8)
    expected[4:8, 10:20] = ramp()[4:8, 10:20]
    assert np.array_equal(result, expected)


def test_a_circular_shutter(client: Client) -> None:
    result = seen(
        client, of=np.full((21, 21), 255, np.uint8), ShutterShape="CIRCULAR", CenterOfCircularShutter=[11, 11],
        RadiusOfCircularShutter=5, ShutterPresentationValue=0, SoftcopyVOILUTSequence=items(window(127, 255)),
    )  # fmt: skip
    assert (result[10, 10], result[10, 5], result[10, 4], result[0, 0]) == (255, 255, 0, 0)
    assert 70 <= (result > 0).sum() <= 90


def test_a_polygonal_shutter(client: Client) -> None:
    triangle = [1, 1, 1, 20, 20, 1]  # row, column
    result = seen(
        client, of=np.full((20, 20), 255, np.uint8), ShutterShape="POLYGONAL",
        VerticesOfThePolygonalShutter=triangle, ShutterPresentationValue=0,
        SoftcopyVOILUTSequence=items(window(127, 255)),
    )  # fmt: skip
    assert (result[2, 2], result[5, 5], result[15, 15], result[19, 19]) == (255, 255, 0, 0)


def test_the_displayed_area(client: Client) -> None:
    area = item(
        DisplayedAreaTopLeftHandCorner=[11, 5], DisplayedAreaBottomRightHandCorner=[20, 8],
        PresentationSizeMode="SCALE TO FIT",
    )  # fmt: skip
    result = seen(client, DisplayedAreaSelectionSequence=items(area), **FULL)
    assert np.array_equal(result, ramp()[4:8, 10:20])


def test_an_area_beyond_the_image_is_the_image(client: Client) -> None:
    area = item(
        DisplayedAreaTopLeftHandCorner=[-2_000_000_000, -5],
        DisplayedAreaBottomRightHandCorner=[2_000_000_000, 2_000_000_000],
    )
    assert np.array_equal(seen(client, DisplayedAreaSelectionSequence=items(area), **FULL), ramp())


@pytest.mark.parametrize(("degrees", "mirrored"), [(0, "Y"), (90, "N"), (180, "N"), (270, "Y")])
def test_rotation_and_mirroring(client: Client, degrees: int, mirrored: str) -> None:
    result = seen(client, ImageRotation=degrees, ImageHorizontalFlip=mirrored, **FULL)
    expected = np.rot90(ramp(), -degrees // 90)
    assert np.array_equal(result, expected[:, ::-1] if mirrored == "Y" else expected)


def test_arguments_come_after_it(client: Client) -> None:
    store(client, image(ramp()), presentation(ImageRotation=90, **FULL))
    small = client.get(f"{STATE}?viewport=16,16", headers=PNG)
    assert shown(small.content).shape == (16, 8)
    windowed = shown(client.get(f"{STATE}?window=100,1,linear", headers=PNG).content)
    assert np.array_equal(windowed > 0, np.rot90(ramp() >= 100, -1))
    assert shown(client.get(STATE.replace("rendered", "thumbnail")).content).shape == (64, 32)


def test_graphics_are_told_of(client: Client) -> None:
    graphic = item(GraphicLayer="A")
    store(client, image(ramp()), presentation(GraphicAnnotationSequence=items(graphic), **FULL))
    assert "not drawn" in client.get(STATE).headers["warning"]


def test_an_image_that_is_not_here(client: Client) -> None:
    store(client, presentation())
    answer = client.get(STATE)
    assert answer.status_code == 406
    assert "stored" in answer.json()["Details"]


def test_a_damaged_table(client: Client) -> None:
    table = item(LUTDescriptor=[4096, 0, 16], LUTData=b"ab")
    store(client, image(ramp()), presentation(ModalityLUTSequence=items(table)))
    assert client.get(STATE).status_code == 406


@pytest.mark.parametrize(
    "values",
    [
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [-2147483648, 2147483647] * 40},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 1, 1, 1, 1]},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1]},
        {
            "ShutterShape": "CIRCULAR",
            "CenterOfCircularShutter": [-2147483648, 2147483647],
            "RadiusOfCircularShutter": 2147483647,
        },
        {"ShutterShape": ["RECTANGULAR", "CIRCULAR", "POLYGONAL"]},
        {"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": -5, "ShutterRightVerticalEdge": -7},
        {"ImageRotation": 65535, "ImageHorizontalFlip": "MAYBE"},
        {"ReferencedSeriesSequence": items(item(SeriesInstanceUID=SERIES))},
    ],
)
def test_numbers_that_make_no_sense_are_no_trouble(client: Client, values: dict[str, object]) -> None:
    store(client, image(ramp()), presentation(**{**FULL, **values}))
    assert client.get(STATE).status_code in (200, 406)


def test_a_state_that_is_replaced_is_seen(make_client) -> None:  # type: ignore[no-untyped-def]
    client = make_client(overwrite_instances=True)
    before = seen(client, **FULL)
    store(client, presentation(PresentationLUTShape="INVERSE", **FULL))
    assert np.array_equal(shown(client.get(STATE, headers=PNG).content), 255 - before)


WADO = f"/wado?requestType=WADO&studyUID=1.2.3&seriesUID={SERIES}&objectUID=1.2.3.4.5&contentType=image/png"


def test_wado_uri_applies_it(client: Client) -> None:
    store(client, image(ramp()), presentation(PresentationLUTShape="INVERSE", **FULL))
    answer = client.get(f"{WADO}&presentationSeriesUID=1.2.3.7&presentationUID=1.2.3.7.1")
    assert np.array_equal(shown(answer.content), 255 - ramp())


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("presentationUID=1.2.3.7.1", 400),
        ("presentationSeriesUID=1.2.3.7", 400),
        ("presentationSeriesUID=1.2.3.7&presentationUID=9", 404),
        (f"presentationSeriesUID={SERIES}&presentationUID=1.2.3.4.5", 404),
    ],
)
def test_wado_uri_with_none(client: Client, query: str, status: int) -> None:
    store(client, image(ramp()), presentation())
    assert client.get(f"{WADO}&{query}").status_code == status


def test_an_image_that_was_replaced_is_not_shown_any_more(client: Client) -> None:
    store(client, image(ramp()), presentation())
    first = client.get(STATE, headers=PNG)
    tag = {**PNG, "If-None-Match": first.headers["etag"]}
    assert client.get(STATE, headers=tag).status_code == 304
    [known] = client.post(
        "/tools/find", json={"Level": "Instance", "Query": {"SOPInstanceUID": "1.2.3.4.5"}}
    ).json()
    assert client.delete(f"/instances/{known}").status_code == 200
    assert client.get(STATE, headers=tag).status_code == 406
    store(client, image(255 - ramp()))
    again = client.get(STATE, headers=tag)
    assert again.status_code == 200
    assert again.headers["etag"] != first.headers["etag"]
    assert again.content != first.content


@pytest.mark.parametrize(
    "query",
    [
        "objectUID=1.2.3.7.1",
        "objectUID=1.2.3.7.1&frameNumber=1",
        "objectUID=1.2.3.4.5&studyUID=1.2.3&presentationSeriesUID=1.2.3.7&presentationUID=1.2.3.7.1",
    ],
)
def test_a_state_does_not_give_away_pixels_that_tell_who_it_is(client: Client, query: str) -> None:
    store(client, image(ramp(), BurnedInAnnotation="YES"), presentation())
    answer = client.get(f"/wado?requestType=WADO&{query}&anonymize=yes&contentType=image/jpeg")
    assert answer.status_code == 403
    assert client.get(f"/wado?requestType=WADO&{query}&contentType=image/jpeg").status_code == 200


def test_a_state_of_an_image_that_tells_nothing_is_shown(client: Client) -> None:
    store(client, image(ramp()), presentation())
    query = "requestType=WADO&objectUID=1.2.3.7.1&contentType=image/jpeg&anonymize=yes"
    assert client.get(f"/wado?{query}").status_code == 200
