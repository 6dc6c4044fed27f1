"""Transcoding real files: the pixels, judged by pydicom and by independent decoders, and the header."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.pixels import pixel_array
from pydicom.pixels.processing import convert_color_space
from tests.data.datasets import body, part10
from tests.data.real import all_files, content_of

from ithil.dicom import uids
from ithil.pixels.errors import PixelError, UnsupportedPixels
from ithil.pixels.syntaxes import ENCODABLE, LOSSY_METHODS, TARGETS
from ithil.pixels.transcode import transcode

pytestmark = pytest.mark.filterwarnings("ignore")

CT, MR_RLE, RGB = "pydicom/CT_small.dcm", "pydicom/MR_small_RLE.dcm", "pydicom-data/SC_rgb.dcm"
BASELINE, EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
LOSSLESS_SV1, JPEG_LS, JPEG_2000 = (f"1.2.840.10008.1.2.4.{n}" for n in (70, 80, 90))
HTJ2K, HTJ2K_RPCL, HTJ2K_LOSSY = (f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203))
MPEG2 = "1.2.840.10008.1.2.4.100"
LOSSLESS = sorted(TARGETS - set(LOSSY_METHODS))
LARGEST = 400_000  # bytes of the files that go through all transfer syntaxes

Pixels = NDArray[Any]


def dataset(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(content), force=True)


def is_ybr(ds: pydicom.Dataset) -> bool:
    return "YBR" in ds.get("PhotometricInterpretation", "")


def pixels(ds: pydicom.Dataset, *, rgb: bool) -> Pixels:
    """The stored values, as pydicom reads them; HTJ2K, which needs another package there, with OpenJPEG."""
    uid = str(ds.file_meta.TransferSyntaxUID)
    if uid in (HTJ2K, HTJ2K_RPCL, HTJ2K_LOSSY):
        count = int(ds.get("NumberOfFrames", 1) or 1)
        frames = [imagecodecs.jpeg2k_decode(f) for f in generate_frames(ds.PixelData, number_of_frames=count)]
        found: Pixels = np.stack(frames) if count > 1 else frames[0]
        if rgb and ds.PhotometricInterpretation == "YBR_FULL":
            found = convert_color_space(found, "YBR_FULL", "RGB")
    else:
        found = pixel_array(ds, raw=not rgb)
    if found.dtype.kind != "f" and ds.BitsStored < ds.BitsAllocated:
        # What lies above the stored bits is no part of the value (PS3.5 8.1.1).
        above = ds.BitsAllocated - 1 - ds.HighBit
        found = found.astype(np.int64) << above & (1 << ds.BitsAllocated) - 1
    return found


def real_images() -> list[str]:
    """Files of the packages with pixels that pydicom can read."""
    names = []
    for name, path in all_files().items():
        if path.stat().st_size > LARGEST or name.startswith(("charset", "pydicom/dicomdirtests")):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ds = pydicom.dcmread(path, specific_tags=["Rows", "BitsAllocated"])
        except (pydicom.errors.InvalidDicomError, OSError):
            continue
        if "Rows" in ds and "TransferSyntaxUID" in ds.file_meta:
            names.append(name)
    return names


@pytest.mark.parametrize("name", real_images())
def test_lossless_transcoding_keeps_every_pixel(name: str) -> None:
    content = content_of(name)
    source = dataset(content)
    rgb = is_ybr(source)
    try:
        before = pixels(source, rgb=rgb)
    except Exception:
        return  # no judge for this one
    once_lossy = source.file_meta.TransferSyntaxUID in (BASELINE, EXTENDED)
    done = 0
    for target in LOSSLESS:
        try:
            after = dataset(transcode(content, target))
        except PixelError:
            continue
        assert after.file_meta.TransferSyntaxUID == target
        difference = np.abs(pixels(after, rgb=rgb).astype(np.int64) - before)
        # JPEG decoders turn YCbCr into RGB each in their own way.
        assert difference.max(initial=0) <= (2 if once_lossy and rgb else 0), target
        assert after.SOPInstanceUID == source.SOPInstanceUID
        done += 1
    assert done >= 4 or source.BitsAllocated == 1


def test_every_transfer_syntax_is_reached_and_left_again() -> None:
    content = content_of(CT)
    before = pixels(dataset(content), rgb=False)
    for target in LOSSLESS:
        there = transcode(content, target)
        back = transcode(there, uids.EXPLICIT_LITTLE)
        assert np.array_equal(pixels(dataset(back), rgb=False), before), target
        # Private tags, sequences and what follows the pixel data: the file is what it was.
        assert dataset(back) == dataset(content), target


def test_the_header_is_copied_byte_for_byte() -> None:
    content = content_of(CT)
    start, end = content.index(b"\x08\0\x05\0CS"), content.index(b"\xe0\x7f\x10\0")
    behind = content[content.index(b"\xfc\xff\xfc\xff") :]
    for target in (JPEG_LS, JPEG_2000, uids.RLE):
        result = transcode(content, target)
        assert content[start:end] in result
        assert result.endswith(behind)


def test_the_same_transfer_syntax_gives_the_same_bytes() -> None:
    content = content_of(CT)
    assert transcode(content, uids.EXPLICIT_LITTLE) is content


@pytest.mark.parametrize("target", sorted(LOSSY_METHODS))
def test_loss_makes_a_derived_instance(target: str) -> None:
    content = transcode(content_of("pydicom-data/SC_rgb.dcm"), uids.EXPLICIT_LITTLE)
    before, after = dataset(content), dataset(transcode(content, target))
    assert after.SOPInstanceUID != before.SOPInstanceUID
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    assert after.SOPInstanceUID.is_valid
    assert after.SOPInstanceUID == dataset(transcode(content, target)).SOPInstanceUID
    assert after.LossyImageCompression == "01"
    assert after.LossyImageCompressionMethod == LOSSY_METHODS[target]
    assert after.LossyImageCompressionRatio > 1
    assert after.ImageType[0] == "DERIVED"
    assert after.SourceImageSequence[-1].ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert after.DerivationCodeSequence[-1].CodeValue == "113040"
    assert "ossy" in after.DerivationDescription
    assert after.PatientName == before.PatientName
    assert after.StudyInstanceUID == before.StudyInstanceUID


def test_loss_is_added_to_what_was_lost_before() -> None:
    content = content_of("pydicom-data/MR2_UNCI.dcm")
    ds = dataset(transcode(content, EXTENDED, quality=80))
    assert list(ds.LossyImageCompressionMethod) == ["ISO_15444_1", "ISO_10918_1"]
    assert len(ds.LossyImageCompressionRatio) == 2
    assert "quality 80" in ds.DerivationDescription
    assert ds.DerivationDescription.endswith("[JPEG 2000 irreversible (lossy) 18:1]")


def smooth(bits: int, *, signed: bool = False) -> Pixels:
    y, x = np.mgrid[:64, :96]
    top = (1 << bits) - 1
    values = (np.sin(x / 9) + np.cos(y / 7) + 2) / 4 * top
    centred: Pixels = values - (top // 2 if signed else 0)
    return centred.astype(np.int16 if signed else np.uint16)


def image(values: Pixels, bits: int, *, photometric: str = "MONOCHROME2") -> bytes:
    """A file of one frame in explicit little endian."""
    allocated = values.dtype.itemsize * 8
    samples = values.shape[2] if values.ndim == 3 else 1
    us = {0x00280002: samples, 0x00280010: values.shape[0], 0x00280011: values.shape[1]}
    us |= {0x00280100: allocated, 0x00280101: bits, 0x00280102: bits - 1}
    us |= {0x00280103: int(values.dtype.kind == "i")} | ({0x00280006: 0} if samples == 3 else {})
    elements: dict[int, tuple[str, bytes] | bytes] = {
        tag: ("US", number.to_bytes(2, "little")) for tag, number in us.items()
    }
    text = photometric.encode()
    elements[0x00280004] = ("CS", text + b" " * (len(text) & 1))
    raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
    elements[0x7FE00010] = ("OW", raw + b"\0" * (len(raw) & 1))
    return part10(body(elements))


@pytest.mark.parametrize(("target", "bits"), [(BASELINE, 8), (EXTENDED, 12), ("1.2.840.10008.1.2.4.81", 16)])
def test_loss_is_bounded(target: str, bits: int) -> None:
    values = smooth(bits)
    after = dataset(transcode(image(values, bits), target, quality=95))
    frame = next(generate_frames(after.PixelData, number_of_frames=1))
    decode = imagecodecs.jpegls_decode if target.endswith("81") else imagecodecs.jpeg8_decode
    error = np.abs(decode(frame).astype(int) - values).max()
    assert 0 <= error <= max(2, (1 << bits) // 50)


@pytest.mark.parametrize("target", ["1.2.840.10008.1.2.4.91", HTJ2K_LOSSY])
@pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, False), (16, True)])
def test_the_quality_of_wavelets_goes_with_the_range_of_the_values(
    target: str, bits: int, signed: bool
) -> None:
    values = smooth(min(bits, 11), signed=signed)  # few of the bits that the header promises
    errors, sizes = [], []
    for quality in (20, 95):
        after = dataset(transcode(image(values, bits), target, quality=quality))
        frame = next(generate_frames(after.PixelData, number_of_frames=1))
        errors.append(int(np.abs(imagecodecs.jpeg2k_decode(frame).astype(int) - values).max()))
        sizes.append(len(frame))
    spread = int(values.max()) - int(values.min())
    assert errors[1] <= errors[0] <= spread * 0.25
    assert errors[1] <= max(2, spread * 0.03)
    assert sizes[0] < sizes[1]


def test_saturated_values_survive_htj2k_with_loss() -> None:
    values = np.full((64, 64), 255, np.uint8)
    values[::5, ::3] = np.arange(13 * 22, dtype=np.uint8).reshape(13, 22)
    there = transcode(image(values, 8), HTJ2K_LOSSY, quality=90)
    back = pixels(dataset(transcode(there, uids.EXPLICIT_LITTLE)), rgb=False)
    assert np.abs(back.astype(int) - values).max() < 64


@pytest.mark.parametrize("target", [HTJ2K, JPEG_2000, JPEG_LS, LOSSLESS_SV1, uids.RLE])
def test_colour_that_is_not_rgb_keeps_its_samples(target: str) -> None:
    values = np.random.default_rng(7).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    there = transcode(image(values, 8, photometric="YBR_FULL"), target)
    assert dataset(there).PhotometricInterpretation == "YBR_FULL"
    back = dataset(transcode(there, uids.EXPLICIT_LITTLE))
    assert back.PhotometricInterpretation == "YBR_FULL"
    assert np.array_equal(pixels(back, rgb=False), values)


@pytest.mark.parametrize("bits", [1, 2, 7, 8, 9, 10, 12, 15, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_every_depth_and_noise(bits: int, signed: bool) -> None:
    if bits == 1 and signed:
        return  # there is no sign in one bit
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    dtype = np.int16 if signed else np.uint16
    values = np.random.default_rng(bits).integers(low, high, (33, 41), dtype=dtype)
    content = image(values, bits)
    for target in LOSSLESS:
        back = dataset(transcode(transcode(content, target), uids.EXPLICIT_LITTLE))
        assert np.array_equal(back.pixel_array, values), target


def test_what_lies_above_the_stored_bits_is_kept() -> None:
    values = np.random.default_rng(1).integers(0, 1 << 16, (16, 16), dtype=np.uint16)
    content = image(values, 12)
    for target in LOSSLESS:
        back = transcode(transcode(content, target), uids.EXPLICIT_LITTLE)
        assert values.tobytes() in back, target


def test_a_jpeg_stream_says_how_many_bits_are_stored() -> None:
    content = image(smooth(12), 12)
    for target, place in ((LOSSLESS_SV1, b"\xff\xc3"), (HTJ2K, b"\xff\x51"), (JPEG_2000, b"\xff\x51")):
        ds = dataset(transcode(content, target))
        frame = next(generate_frames(ds.PixelData, number_of_frames=1))
        if place == b"\xff\xc3":
            assert frame[frame.index(place) + 4] == 12
        else:
            assert frame[42] == 11


def test_odd_frames_are_padded_and_found_by_the_offset_table() -> None:
    name = "pydicom-data/SC_rgb_2frame.dcm"
    for target in sorted(ENCODABLE - {EXTENDED}):
        ds = dataset(transcode(content_of(name), target))
        assert len(ds.PixelData) % 2 == 0
        count, offsets = pydicom.encaps.parse_basic_offsets(ds.PixelData), 2
        assert len(count) == offsets
        assert len(list(generate_frames(ds.PixelData, number_of_frames=2))) == 2


def test_photometric_interpretations() -> None:
    rgb = content_of(RGB)
    for target, expected in (
        (BASELINE, "YBR_FULL_422"),
        (JPEG_2000, "YBR_RCT"),
        ("1.2.840.10008.1.2.4.91", "YBR_ICT"),
        (HTJ2K, "YBR_RCT"),
        (JPEG_LS, "RGB"),
        (LOSSLESS_SV1, "RGB"),
        (uids.RLE, "RGB"),
    ):
        there = transcode(rgb, target)
        assert dataset(there).PhotometricInterpretation == expected
        assert dataset(transcode(there, uids.EXPLICIT_LITTLE)).PhotometricInterpretation == "RGB"


def test_decoding_a_jpeg_leaves_a_note_that_it_was_lossy() -> None:
    ds = dataset(transcode(content_of("pydicom/SC_rgb_jpeg_dcmtk.dcm"), uids.EXPLICIT_LITTLE))
    assert ds.LossyImageCompression == "01"
    assert ds.PhotometricInterpretation == "RGB"
    assert ds.PlanarConfiguration == 0


def test_baseline_becomes_extended_without_another_loss() -> None:
    content = content_of("pydicom/SC_rgb_jpeg_dcmtk.dcm")
    before, after = dataset(content), dataset(transcode(content, EXTENDED))
    assert after.PixelData == before.PixelData
    assert after.SOPInstanceUID == before.SOPInstanceUID


@pytest.mark.parametrize("target", sorted(ENCODABLE))
def test_without_pixels_nothing_is_compressed(target: str) -> None:
    content = content_of("pydicom/rtplan.dcm")
    assert transcode(content, target) is content


def test_without_pixels_the_encoding_changes() -> None:
    content = content_of("pydicom/rtplan.dcm")
    for target in (uids.EXPLICIT_LITTLE, uids.EXPLICIT_BIG, uids.DEFLATED):
        there = transcode(content, target)
        assert dataset(there).BeamSequence[0].BeamName == dataset(content).BeamSequence[0].BeamName
        assert dataset(transcode(there, uids.IMPLICIT_LITTLE)) == dataset(content)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        (CT, BASELINE),  # 16 bits
        (CT, EXTENDED),
        (CT, MPEG2),
        (CT, "1.2.3"),
        (CT, ""),
        ("pydicom/liver_1frame.dcm", JPEG_LS),  # one bit
        ("pydicom-data/OBXXXX1A.dcm", BASELINE),  # a palette
        ("pydicom/rtdose_1frame.dcm", JPEG_2000),  # 32 bits
        (MR_RLE, "1.2.840.10008.1.2.4.81"),  # negative values
    ],
)
def test_what_cannot_be_done_is_refused(name: str, target: str) -> None:
    if name == MR_RLE:
        content = image(smooth(12, signed=True), 16)
    else:
        content = content_of(name)
    with pytest.raises(UnsupportedPixels):
        transcode(content, target)


def test_videos_are_not_touched() -> None:
    ds = dataset(content_of(MR_RLE))
    ds.file_meta.TransferSyntaxUID = MPEG2
    video = BytesIO()
    ds.save_as(video)
    for target in (uids.EXPLICIT_LITTLE, JPEG_LS):
        with pytest.raises(UnsupportedPixels):
            transcode(video.getvalue(), target)


@pytest.mark.parametrize("target", [uids.EXPLICIT_BIG, uids.DEFLATED, JPEG_LS, uids.IMPLICIT_LITTLE])
@pytest.mark.parametrize("name", [CT, MR_RLE, "pydicom/JPEG2000.dcm", "pydicom/image_dfl.dcm"])
def test_truncated_files_are_refused(name: str, target: str) -> None:
    content = content_of(name)
    for share in (0, 0.01, 0.2, 0.6, 0.97):
        with pytest.raises(PixelError):
            transcode(content[: int(len(content) * share)], target)


def test_damaged_files_never_raise_anything_else() -> None:
    rng = np.random.default_rng(3)
    for name in (MR_RLE, "pydicom/JPEG2000.dcm", "pydicom-data/SC_rgb_2frame.dcm"):
        content = content_of(name)
        for _ in range(40):
            damaged = bytearray(content)
            for place in rng.integers(132, len(content), 12):
                damaged[place] = int(rng.integers(0, 256))
            for target in (uids.EXPLICIT_BIG, JPEG_LS, uids.RLE):
                try:
                    transcode(bytes(damaged), target)
                except PixelError:
                    continue


def test_more_frames_than_there_are_is_an_error() -> None:
    ds = dataset(content_of(MR_RLE))
    ds.NumberOfFrames = 1_000_000_000
    forged = BytesIO()
    ds.save_as(forged)
    with pytest.raises(PixelError):
        transcode(forged.getvalue(), uids.EXPLICIT_LITTLE)


def test_a_coded_icon_does_not_end_up_in_a_native_file() -> None:
    ds = dataset(content_of(MR_RLE))
    icon = pydicom.Dataset()
    icon.Rows = icon.Columns = 2
    icon.add_new(0x7FE00010, "OB", pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"]))
    icon["PixelData"].is_undefined_length = True
    ds.IconImageSequence = [icon]
    file = BytesIO()
    ds.save_as(file)
    assert "IconImageSequence" not in dataset(transcode(file.getvalue(), uids.EXPLICIT_LITTLE))
    assert "IconImageSequence" in dataset(transcode(file.getvalue(), JPEG_LS))
