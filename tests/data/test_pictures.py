"""Pictures of every form a file may have: as they look, or named in a sentence."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from lth_utils.data.pictures import read_pictures
from lth_utils.errors import LotteryError
from lth_utils.words import SPLITS

COLOURS = np.random.default_rng(0).integers(256, size=(4, 6, 3), dtype=np.uint8)
DEEP = np.array([[0x8000, 0x00FF], [0xFFFF, 0x0100]], np.uint16)
UPPER = [[128, 0], [255, 1]]


def encoded(picture: Image.Image | np.ndarray, kind: str, **how: object) -> bytes:
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return file.getvalue()


def lay(folder: Path, content: bytes, name: str, size: tuple[int, int]) -> Path:
    """Make a folder of two classes; return where one special picture lies."""
    plain = encoded(np.zeros((*size, 3), np.uint8), "PNG")
    for part in SPLITS:
        for kind in "ab":
            place = folder / part / kind
            place.mkdir(parents=True)
            (place / "plain.png").write_bytes(plain)
    special = folder / "train" / "a" / name
    special.write_bytes(content)
    (folder / "train" / "a" / "plain.png").unlink()
    return special


@pytest.fixture
def seen(tmp_path: Path):
    """Return a function: a file's picture, as the library reads it."""

    def read(content: bytes, shape: tuple[int, int, int], name: str = "x.png"):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        lay(folder, content, name, shape[1:])
        (images, labels), *_ = read_pictures(folder, shape)
        assert labels.tolist() == [0, 1]
        assert not images[1].any()
        return images[0]

    return read


def png(
    depth: int,
    kind: int,
    rows: list[bytes],
    *chunks: tuple[bytes, bytes],
    size: int = 2,
) -> bytes:
    """Return a PNG of 2 x 2 such as Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    head = struct.pack(">IIBBBBB", size, size, depth, kind, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", packed), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


# Deep pictures


@pytest.mark.parametrize(
    "content",
    [
        encoded(DEEP, "PNG"),
        encoded(DEEP, "TIFF"),
        b"P5 2 2 65535\n" + DEEP.astype(">u2").tobytes(),
    ],
    ids=["PNG", "TIFF", "PGM"],
)
def test_grey_of_16_bits_becomes_its_upper_byte(seen, content):
    assert seen(content, (1, 2, 2)).tolist() == UPPER
    assert seen(content, (3, 2, 2))[..., 1].tolist() == UPPER


def test_a_tiff_of_the_other_byte_order_is_the_same(seen):
    other = Image.frombytes("I;16B", (2, 2), DEEP.astype(">u2").tobytes())
    assert seen(encoded(other, "TIFF"), (1, 2, 2), "x.tif").tolist() == UPPER


def test_colours_of_16_bits_become_their_upper_bytes(seen):
    row = struct.pack(">6H", 0x8000, 0x1234, 0xFFFF, 0, 0x00FF, 0x0100)
    pixels = seen(png(16, 2, [row, row]), (3, 2, 2))
    assert pixels[0].tolist() == [[128, 0x12, 255], [0, 0, 1]]


def test_transparency_of_16_bits_is_black(seen):
    row = struct.pack(">4H", 0xFFFF, 0x8000, 0xFFFF, 0)  # grey, opacity
    assert seen(png(16, 4, [row, row]), (1, 2, 2)).tolist() == [[128, 0]] * 2
    row = struct.pack(">2H", 0x8000, 0xFFFF)
    clear = (b"tRNS", struct.pack(">H", 0xFFFF))
    assert seen(png(16, 0, [row, row], clear), (1, 2, 2)).tolist() == [[128, 0]] * 2


def tiff(array: np.ndarray, **tags: int) -> bytes:
    """Return a TIFF whose tags say something else of its numbers."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        info[{"white": 262, "sign": 339}[name]] = value
    return encoded(array, "TIFF", tiffinfo=info)


FLOATS = np.ones((2, 2), np.float32)
NUMBERS = {
    "32 bits": lambda: encoded(DEEP.astype(np.int32), "TIFF"),
    "floats": lambda: encoded(FLOATS, "TIFF"),
    "lab": lambda: encoded(Image.new("LAB", (2, 2)), "TIFF"),
    "white is zero": lambda: tiff(DEEP, white=0),
    "signed": lambda: tiff(DEEP, sign=2),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_that_may_mean_anything_are_a_sentence(tmp_path, kind):
    special = lay(tmp_path / "p", NUMBERS[kind](), "x.tif", (2, 2))
    with pytest.raises(LotteryError, match="save it as PNG or JPEG") as caught:
        read_pictures(tmp_path / "p", (3, 2, 2))
    assert f"cannot be read: {special} (" in str(caught.value)


# Palettes, transparency, ink


def test_a_palette_is_looked_up(seen):
    picture = Image.fromarray(np.array([[0, 1], [1, 2]], np.uint8), "P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    first, second, third = [10, 20, 30], [40, 50, 60], [70, 80, 90]
    expected = [[first, second], [second, third]]
    for kind in ("PNG", "GIF", "BMP", "TIFF"):
        assert seen(encoded(picture, kind), (3, 2, 2)).tolist() == expected
    for clear in (1, bytes([255, 0, 255])):
        content = encoded(picture, "PNG", transparency=clear)
        black = [[first, [0] * 3], [[0] * 3, third]]
        assert seen(content, (3, 2, 2)).tolist() == black
    content = encoded(picture, "GIF", transparency=1)
    assert seen(content, (3, 2, 2))[0].tolist() == black[0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_what_is_transparent_lies_on_black(seen, kind):
    grey = np.array([[[200, 255], [200, 51]], [[200, 0], [0, 255]]], np.uint8)
    assert seen(encoded(grey, kind), (1, 2, 2)).tolist() == [[200, 40], [0, 0]]
    colour = np.zeros((2, 2, 4), np.uint8)
    colour[0] = [[100, 200, 250, 255], [100, 200, 250, 51]]
    pixels = seen(encoded(colour, kind), (3, 2, 2))
    assert pixels[0].tolist() == [[100, 200, 250], [20, 40, 50]]
    assert not pixels[1].any()


def test_one_bit_is_black_or_white(seen):
    picture = Image.fromarray(np.array([[True, False], [False, True]]))
    for kind in ("PNG", "BMP", "PPM", "TIFF", "GIF"):
        pixels = seen(encoded(picture, kind), (1, 2, 2))
        assert pixels.tolist() == [[255, 0], [0, 255]]


INKS = {
    (255, 0, 0, 0): (0, 255, 255),  # cyan
    (0, 255, 0, 0): (255, 0, 255),
    (0, 0, 255, 0): (255, 255, 0),
    (0, 0, 0, 255): (0, 0, 0),
    (0, 0, 0, 0): (255, 255, 255),
    (0, 255, 255, 128): (127, 0, 0),
}


@pytest.mark.parametrize(("ink", "colour"), INKS.items())
def test_ink_looks_like_the_colours_it_prints(seen, ink, colour):
    printed = Image.new("CMYK", (16, 16), ink)
    for kind in ("JPEG", "TIFF"):
        pixels = seen(encoded(printed, kind, quality=95), (3, 16, 16)).astype(int)
        plain = seen(
            encoded(Image.new("RGB", (16, 16), colour), "JPEG"), (3, 16, 16)
        ).astype(int)
        assert np.abs(pixels - colour).max() <= 3
        assert np.abs(pixels - plain).max() <= 6
    grey = seen(encoded(printed, "JPEG", quality=95), (1, 16, 16))
    luma = np.dot(colour, [0.299, 0.587, 0.114])
    assert np.abs(grey - luma).max() <= 3


def test_the_jpegs_with_ink_are_adobes_whose_full_ink_is_0():
    assert b"Adobe" in encoded(Image.new("CMYK", (16, 16)), "JPEG")


def test_colours_become_grey_as_television_has_it(seen):
    grey = seen(encoded(COLOURS, "PNG"), (1, 4, 6))
    assert np.abs(grey - COLOURS @ [0.299, 0.587, 0.114]).max() <= 1
    plain = np.repeat(COLOURS[..., :1], 3, axis=2)
    assert np.array_equal(
        seen(encoded(COLOURS[..., 0].copy(), "PNG"), (3, 4, 6)), plain
    )


# Which way is up, and which frame


TURNS = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
    8: lambda p: np.rot90(p),
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_a_camera_that_was_turned_makes_upright_pictures(seen, kind, turn):
    exif = Image.Exif()
    exif[274] = turn
    content = encoded(COLOURS, kind, exif=exif, lossless=True)
    upright = TURNS[turn](COLOURS)
    # Not counted as of another size: a warning would be an error here.
    assert np.array_equal(seen(content, (3, *upright.shape[:2])), upright)


def test_deep_grey_is_turned_too(seen):
    exif = Image.Exif()
    exif[274] = 3
    content = encoded(DEEP, "PNG", exif=exif)
    assert seen(content, (1, 2, 2)).tolist() == [[1, 255], [0, 128]]


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0rubbish", b"\xff" * 40])
def test_what_is_wrong_in_exif_data_turns_nothing(seen, exif):
    flat = np.full((8, 8, 3), 90, np.uint8)
    pixels = seen(encoded(flat, "JPEG", exif=exif), (3, 8, 8))
    assert np.abs(pixels.astype(int) - 90).max() <= 1


def test_a_picture_is_turned_though_other_exif_data_is_spoilt(seen):
    tags = [(274, 3, 1, 3), (256, 8, 2, 0xFFFFFFFF)]  # turned by 180 degrees; rubbish
    packed = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + packed + bytes(4)
    halves = np.zeros((16, 16, 3), np.uint8)
    halves[:, 8:] = 200
    pixels = seen(encoded(halves, "JPEG", exif=exif), (1, 16, 16)).astype(int)
    assert np.abs(pixels - halves[:, ::-1, 0]).max() <= 1


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_taken(seen, kind):
    frames = [Image.new("RGB", (2, 2), (n, n, n)) for n in (250, 130, 10)]
    how = {"save_all": True, "append_images": frames[1:], "lossless": True}
    assert seen(encoded(frames[0], kind, **how), (1, 2, 2)).tolist() == [[250] * 2] * 2


# Sizes


def test_other_sizes_are_scaled_cut_in_the_middle_and_said(tmp_path):
    stripes = np.zeros((40, 120, 3), np.uint8)
    stripes[:, 40:80] = 255
    lay(tmp_path / "p", encoded(stripes, "PNG"), "x.png", (4, 4))
    said = r"^Pictures of other sizes: 1 of the 6 in .*/p are not 4 x 4\. Scaled"
    with pytest.warns(UserWarning, match=said) as caught:
        (images, _), *_ = read_pictures(tmp_path / "p", (3, 4, 4))
    assert len(caught) == 1
    assert images[0].min() > 220  # the middle third alone, but for its edges


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_the_strangest_size_is_brought_to_the_shape(tmp_path, size):
    flat = np.full((*size, 3), 77, np.uint8)
    lay(tmp_path / "p", encoded(flat, "PNG"), "x.png", (5, 4))
    with pytest.warns(UserWarning, match="1 of the 6 .* are not 4 x 5"):
        (images, _), *_ = read_pictures(tmp_path / "p", (3, 5, 4))
    assert (images[0] == 77).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_may_be_one_pixel(seen, channels):
    content = encoded(np.full((1, 1, 3), 9, np.uint8), "PNG")
    assert (seen(content, (channels, 1, 1)) == 9).all()


def test_what_pillow_warns_of_is_not_said(seen, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # of a picture of 24: a warning
    assert np.array_equal(seen(encoded(COLOURS, "PNG"), (3, 4, 6)), COLOURS)


# What cannot be read


def jpeg() -> bytes:
    return encoded(np.tile(COLOURS, (16, 12, 1)), "JPEG")


FOREIGN = r"\(no picture of a known kind\)"
UNREADABLE = {
    "cut short": (lambda: jpeg()[:900], "truncated"),
    "text": (lambda: b"not a picture at all\n" * 9, FOREIGN),
    "nothing": (lambda: b"", FOREIGN),
    "a program": (
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n\n",
        FOREIGN,
    ),
    "huge": (lambda: png(8, 2, [], size=10**5), "10000000000 pixels"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_unreadable_picture_is_named(tmp_path, kind):
    content, why = UNREADABLE[kind]
    special = lay(tmp_path / "p", content(), "x.jpg", (2, 2))
    with pytest.raises(LotteryError, match=f"{why}.* Expected each to open") as caught:
        read_pictures(tmp_path / "p", (3, 2, 2))
    sentence = str(caught.value)
    assert sentence.startswith(f"Pictures that cannot be read: {special} (")
    assert sentence.count(str(special)) == 1
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "error", [struct.error("unpack"), IndexError(), MemoryError(), TypeError("a\n b")]
)
def test_whatever_a_damaged_file_brings_up_it_is_named(tmp_path, monkeypatch, error):
    def open_(path, **_):
        raise error

    lay(tmp_path, b"", "x.png", (2, 2))
    monkeypatch.setattr(Image, "open", open_)
    why = " ".join(str(error).split()) or type(error).__name__
    with pytest.raises(LotteryError, match=rf"x\.png \({why}\); .*, and 3 more\."):
        read_pictures(tmp_path, (3, 2, 2))


def test_a_link_to_nothing_is_named(tmp_path):
    special = lay(tmp_path / "p", b"", "x.jpg", (2, 2))
    special.unlink()
    special.symlink_to(tmp_path / "gone")
    with pytest.raises(LotteryError, match=r"x\.jpg \(No such file or directory\)"):
        read_pictures(tmp_path / "p", (3, 2, 2))


def test_of_many_the_first_are_named(tmp_path):
    special = lay(tmp_path / "p", b"", "0.jpg", (2, 2))
    for number in range(1, 12):
        special.with_name(f"{number:02}.jpg").write_bytes(b"")
    with pytest.raises(LotteryError, match=r"0\.jpg .*01\.jpg .*, and 9 more"):
        read_pictures(tmp_path / "p", (3, 2, 2))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_nothing_is_left_open(seen):
    before = len([*Path("/proc/self/fd").iterdir()])
    for kind in ("GIF", "TIFF", "PNG"):
        frames = {"save_all": True, "append_images": [Image.new("RGB", (6, 4))]}
        seen(encoded(COLOURS, kind, **frames), (3, 4, 6))
    assert len([*Path("/proc/self/fd").iterdir()]) == before
