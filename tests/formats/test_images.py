"""Pictures come back as stored, whatever their kind, and nothing damaged gets through."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from ethomorph.core.errors import ImageError
from ethomorph.formats import images
from ethomorph.formats.images import find_images, grey, image_size, read_header, read_image

RAMP8 = (np.arange(35 * 50) % 251).astype(np.uint8).reshape(35, 50)
RAMP16 = (np.arange(35 * 50) * 37 % 65536).astype(np.uint16).reshape(35, 50)
COLOUR = np.stack([RAMP8, RAMP8[::-1], RAMP8[:, ::-1]], axis=-1)


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    Pillow.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
@pytest.mark.parametrize("pixels", [RAMP8, COLOUR], ids=["grey", "colour"])
def test_lossless_8_bit_comes_back_exactly(tmp_path, suffix, pixels):
    image = read_image(save(tmp_path / f"a.{suffix}", pixels))
    assert np.array_equal(image.pixels, pixels)
    assert image.pixels.dtype == np.uint8 and image.bits == 8
    assert image_size(image.path) == (35, 50) == image.size


def test_16_bit_grey_is_kept(tmp_path):
    save(tmp_path / "a.png", RAMP16)
    tifffile.imwrite(tmp_path / "a.tif", RAMP16, compression="zlib")
    tifffile.imwrite(tmp_path / "big.tif", RAMP16, bigtiff=True, byteorder=">")
    for name in ("a.png", "a.tif", "big.tif"):
        image = read_image(tmp_path / name)
        assert image.pixels.dtype == np.uint16 and np.array_equal(image.pixels, RAMP16)
        assert image.bits == 16 and read_header(image.path).bits == 16


def test_16_bit_colour_png_is_not_squeezed_to_8(tmp_path):
    deep = np.stack([RAMP16, RAMP16 // 2, RAMP16 // 3], axis=-1)
    cv2.imwrite(str(tmp_path / "a.png"), deep[..., ::-1])
    image = read_image(tmp_path / "a.png")
    assert np.array_equal(image.pixels, deep)
    assert read_header(image.path) == ("png", 35, 50, 3, 16)


@pytest.mark.parametrize(("top", "bits"), [(255, 8), (1023, 10), (4000, 12), (16383, 14), (16384, 16)])
def test_white_of_a_16_bit_file_follows_the_detector_depth(tmp_path, top, bits):
    pixels = RAMP16 % (top + 1)
    pixels[0, 0] = top
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    image = read_image(tmp_path / "a.tif")
    assert image.bits == bits
    assert image.grey().max() == pytest.approx(top / (2**bits - 1))


def test_float_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RAMP8.astype(np.float32) / 250)
    image = read_image(tmp_path / "a.tif")
    assert image.pixels.dtype == np.float32 and image.bits is None
    np.testing.assert_allclose(image.grey(), RAMP8 / 250, atol=1e-6)
    tifffile.imwrite(tmp_path / "nan.tif", np.full((4, 4), np.nan, np.float32))
    with pytest.raises(ImageError, match=r"nan\.tif.*not numbers"):
        read_image(tmp_path / "nan.tif")


def test_white_is_zero_tiff_is_inverted(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RAMP8, photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, 255 - RAMP8)


def test_palette_alpha_two_tone_and_cmyk(tmp_path):
    Pillow.fromarray(COLOUR).quantize(64).save(tmp_path / "palette.png")
    expected = np.asarray(Pillow.open(tmp_path / "palette.png").convert("RGB"))
    assert np.array_equal(read_image(tmp_path / "palette.png").pixels, expected)

    alpha = np.dstack([COLOUR, np.full_like(RAMP8, 7)])
    for name in ("alpha.png", "alpha.tif"):
        image = read_image(save(tmp_path / name, alpha))
        assert np.array_equal(image.pixels, COLOUR)
        assert "dropped" in image.notes[0]

    Pillow.fromarray(RAMP8 > 100).save(tmp_path / "two.png")
    assert np.array_equal(read_image(tmp_path / "two.png").pixels, (RAMP8 > 100) * np.uint8(255))

    for name in ("ink.jpg", "ink.tif"):
        Pillow.fromarray(COLOUR).convert("CMYK").save(tmp_path / name)
        assert np.abs(read_image(tmp_path / name).pixels.astype(int) - COLOUR).mean() < (90 if name == "ink.jpg" else 2)

    planes = np.moveaxis(COLOUR, -1, 0)
    tifffile.imwrite(tmp_path / "planes.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_image(tmp_path / "planes.tif").pixels, COLOUR)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_kept_unless_asked(tmp_path, orientation):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", RAMP8, exif=exif)
    stored = read_image(path)
    assert np.array_equal(stored.pixels, RAMP8)
    assert bool(stored.notes) == (orientation != 1)
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(Pillow.open(path)))
    assert np.array_equal(read_image(path, upright=True).pixels, expected)


def test_resolution_entries_are_no_scale(tmp_path):
    for name in ("a.jpg", "a.tif"):
        assert read_image(save(tmp_path / name, RAMP8, dpi=(300, 300))).mm_per_px is None


def test_constant_picture_is_read_and_flagged(tmp_path):
    image = read_image(save(tmp_path / "flat.png", np.full((9, 9), 80, np.uint8)))
    assert "flat.png" in image.notes[0] and "same value" in image.notes[0]


def test_content_decides_not_the_suffix(tmp_path):
    save(tmp_path / "a.png", RAMP8).rename(tmp_path / "a.jpg")
    image = read_image(tmp_path / "a.jpg")
    assert image.kind == "png" and np.array_equal(image.pixels, RAMP8)


def test_grey_weights_and_ranges():
    np.testing.assert_allclose(
        grey(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)), [[0.299, 0.587, 0.114]]
    )
    np.testing.assert_allclose(grey(np.array([[-5.0, 5.0]])), [[0, 1]])
    np.testing.assert_allclose(grey(np.array([[0.2, 0.4]])), [[0.2, 0.4]], rtol=1e-6)
    assert grey(np.zeros((3, 3), np.uint16)).dtype == np.float32
    with pytest.raises(ImageError, match="no picture"):
        grey(np.zeros((3, 3, 4)))


def test_stacks_and_animations_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([RAMP8] * 3), photometric="minisblack")
    tifffile.imwrite(tmp_path / "imagej.tif", np.stack([RAMP8] * 4), imagej=True)
    frames = [Pillow.fromarray(RAMP8), Pillow.fromarray(RAMP8[::-1].copy())]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    for name, count in (("stack.tif", 3), ("imagej.tif", 4), ("moving.gif", 2)):
        with pytest.raises(ImageError, match=rf"{name}.* {count} "):
            read_image(tmp_path / name)


def test_thumbnail_page_is_noted(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(RAMP8)
        file.write(RAMP8[::5, ::5])
    image = read_image(tmp_path / "a.tif")
    assert np.array_equal(image.pixels, RAMP8) and "first is used" in image.notes[0]


def test_bombs_are_refused_from_the_header(tmp_path, monkeypatch):
    save(tmp_path / "a.png", RAMP8)
    save(tmp_path / "a.tif", RAMP8)
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    for name in ("a.png", "a.tif"):
        for function in (read_image, image_size):
            with pytest.raises(ImageError, match=rf"{name}.*50 x 35 px"):
                function(tmp_path / name)


def test_a_real_bomb_takes_no_time(tmp_path):
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    began = time.perf_counter()
    with pytest.raises(ImageError, match=r"bomb\.png"):
        read_image(tmp_path / "bomb.png")
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.jpg", b"", "0 bytes"),
        ("set.zip", b"PK\x03\x04rest", "archive"),
        ("hidden.jpg", b"PK\x03\x04rest", "archive"),
        ("text.png", b"hello", "no picture"),
        ("start.jpg", b"\xff\xd8\xff\xe0", "damaged"),
        ("start.tif", b"II*\x00\x08\x00\x00\x00", "damaged|no picture"),
        ("start.dcm", b"\x00" * 128 + b"DICM", "no picture|damaged"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=rf"{name}.*({said}).*;"):
        read_image(tmp_path / name)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(ImageError, match="folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.tif"])
def test_truncated_files_are_refused(tmp_path, name):
    path = save(tmp_path / name, np.random.default_rng(0).integers(0, 256, (90, 80)).astype(np.uint8))
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ImageError, match=name):
            read_image(path)


def test_mutated_files_end_in_a_picture_or_an_image_error(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "a.png", "a.bmp", "a.tif", "a.gif"):
        path = save(tmp_path / name, RAMP8)
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(60):
            hurt = whole.copy()
            hurt[rng.integers(0, min(len(hurt), 400), rng.integers(1, 6))] = rng.integers(0, 256)
            path.write_bytes(hurt.tobytes())
            for function in (read_image, image_size):
                try:
                    function(path)
                except ImageError as error:
                    assert name in str(error) and "\n" not in str(error)


def test_find_images(tmp_path):
    for name in ("w10.png", "w2.png", "W1.jpg", ".w0.png", "notes.txt"):
        save(tmp_path / name, RAMP8, format="PNG") if name != "notes.txt" else (tmp_path / name).write_text("x")
    names = [p.name for p in find_images(tmp_path)]
    assert names == ["W1.jpg", "w2.png", "w10.png"]
    assert find_images([tmp_path / "w2.png", str(tmp_path / "w*.png")]) == [tmp_path / "w2.png", tmp_path / "w10.png"]
    for given, said in (
        (tmp_path / "absent", "no such"),
        (tmp_path / "*.tif", "matches no"),
        (tmp_path / "notes.txt", "no picture"),
    ):
        with pytest.raises(ImageError, match=said):
            find_images(given)


def test_fly_wing_is_read_fast(shared_data):
    paths = find_images(shared_data / "fly-wings" / "images")
    assert len(paths) == 40 and {image_size(p) for p in paths} == {(480, 632)}
    seconds = []
    for path in paths:
        began = time.perf_counter()
        read_image(path)
        seconds.append(time.perf_counter() - began)
    assert np.median(seconds) < 0.02  # about 1 ms; generous for a machine under load
