"""One picture file: what else stands in it never costs the picture, and its pixels are those that the format says.

The files are made by hand, from the specifications of their formats, where Pillow writes no such ones.
"""
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from minigan.datasets.picture_file import read_rgb

HALVES = np.repeat([[200, 10]], 4, axis=0).repeat(2, axis=1)           # 4 x 4, the left half bright, the right half dark
GREY, RGB, PALETTE = 0, 2, 3                                           # PNG's colour types


def chunk(kind, body, checksum=None):
    checksum = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def png(samples, *chunks, depth=8, colour=GREY):
    """A PNG of the samples (H, W) or (H, W, C), not filtered, with these chunks before the pixels."""
    samples = np.asarray(samples)
    bits = samples.reshape(len(samples), -1, 1).astype(int) >> np.arange(depth - 1, -1, -1) & 1
    rows = np.packbits(bits.reshape(len(samples), -1).astype(np.uint8), axis=1)
    header = struct.pack(">IIBBBBB", samples.shape[1], len(samples), depth, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks)
            + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))) + chunk(b"IEND", b""))


def by_pillow(pixels, kind, **options):
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, kind, **options)
    return file.getvalue()


def jpeg(pixels, *segments):
    """A JPEG with segments (marker, content) before Pillow's own."""
    data = by_pillow(pixels, "JPEG", quality=100)
    return data[:2] + b"".join(b"\xff" + struct.pack(">BH", marker, len(s) + 2) + s for marker, s in segments) + data[2:]


def exif(orientation, order="<", kind=3, others=b""):
    """An EXIF block: the tag orientation behind `others`, each of 12 bytes, then -1 / 0, at 38 behind one of them."""
    form = {1: "B3x", 3: "H2x", 4: "I"}[kind]
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(others) // 12 + 1)
    return b"Exif\0\0" + head + others + struct.pack(f"{order}HHI{form}4xii", 0x0112, kind, 1, orientation, -1, 0)


def u24(n):
    return struct.pack("<I", n)[:3]


def webp(*chunks):
    chunks = b"".join(kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2) for kind, body in chunks)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


@pytest.fixture
def read(tmp_path):
    """The pixels (H, W, 3) of a file with these bytes. Whoever runs python -W error reads them, too."""
    def read_bytes(data):
        (tmp_path / "a.png").write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return np.asarray(read_rgb(tmp_path / "a.png")).astype(int)
    return read_bytes


def grey(x):
    return np.repeat(np.asarray(x)[..., None], 3, axis=2)


# ---- what stands beside the pixels ----

LARGE, PROFILE = b"a" * 2_000_000, b"Raw profile type exif\0"
IN_PNG = {
    "a large zTXt": chunk(b"zTXt", b"key\0\0" + zlib.compress(LARGE)),
    "a large iTXt": chunk(b"iTXt", b"key\0\1\0\0\0" + zlib.compress(LARGE)),
    "a large colour profile": chunk(b"iCCP", b"name\0\0" + zlib.compress(LARGE)),
    "100 texts of a million letters": chunk(b"zTXt", b"key\0\0" + zlib.compress(LARGE[::2])) * 100,
    "an unknown compression": chunk(b"iCCP", b"name\0\7profile") + chunk(b"zTXt", b"key\0\7text"),
    "short chunks": b"".join(chunk(kind, b"") for kind in (b"gAMA", b"cHRM", b"pHYs", b"sRGB", b"tRNS", b"acTL", b"fcTL")),
    "a text with a wrong checksum": chunk(b"tEXt", b"key\0text", checksum=1),
    "an EXIF that is none": chunk(b"eXIf", b"garbage"),
    "an EXIF that is empty": chunk(b"eXIf", b""),
    "an EXIF without its end": chunk(b"eXIf", exif(6)[6:-16]),
    "an orientation that is none": chunk(b"eXIf", exif(9)[6:]),
    "a raw profile that is no hexadecimal": chunk(b"zTXt", PROFILE + b"\0" + zlib.compress(b"\nexif\n 4\nxyz!\n")),
    "a raw profile that is not compressed": chunk(b"zTXt", PROFILE + b"\0garbage"),
    "a film with a frame outside": chunk(b"acTL", bytes(7) + b"\2") + chunk(b"fcTL", b"\xff" * 26),
}


@pytest.mark.parametrize("name", IN_PNG)
def test_nothing_beside_the_pixels_costs_a_png(read, name):
    np.testing.assert_array_equal(read(png(HALVES, IN_PNG[name])), grey(HALVES))


IN_JPEG = {
    "a colour profile that is cut off": (0xE2, b"ICC_PROFILE\0"),
    "a colour profile with a part missing": (0xE2, b"ICC_PROFILE\0\1\2half"),
    "Photoshop's, cut off": (0xED, b"Photoshop 3.0\0" + b"8BIM\4\4"),
    "JFIF's, cut off": (0xE0, b"JFIF\0"),
    "Adobe's, cut off": (0xEE, b"Adobe"),
    "a list of pictures that is none": (0xE2, b"MPF\0garbage"),
    "an EXIF that is none": (0xE1, b"Exif\0\0garbage"),
    "an EXIF that is empty": (0xE1, b"Exif\0\0"),
}


@pytest.mark.parametrize("name", IN_JPEG)
def test_nothing_beside_the_pixels_costs_a_jpeg(read, name):
    np.testing.assert_array_equal(read(jpeg(HALVES, IN_JPEG[name])), read(jpeg(HALVES)))


ODD = {
    "a resolution of -1 / 0": struct.pack("<HHII", 282, 10, 1, 38),
    "a maker outside the file": struct.pack("<HHII", 271, 2, 9, 9999),
    "tags of the place at 0": struct.pack("<HHII", 34853, 4, 1, 0),
}


@pytest.mark.parametrize("others", ODD.values(), ids=ODD)
def test_of_an_exif_only_the_orientation_is_read(read, others):
    """Orientation 6: the left half of what is stored is on top."""
    upright, block = grey(HALVES.T), exif(6, others=others)
    text = b"\nexif\n    %d\n%s\n" % (len(block), block.hex().encode())
    for kind, body in ((b"eXIf", block[6:]), (b"tEXt", PROFILE + text), (b"zTXt", PROFILE + b"\0" + zlib.compress(text))):
        np.testing.assert_array_equal(read(png(HALVES, chunk(kind, body))), upright)
    assert abs(read(jpeg(HALVES, (0xE1, block))) - upright).max() < 3
    whole = by_pillow(grey(HALVES), "WEBP", lossless=True)[12:]
    data = webp((b"VP8X", bytes([8, 0, 0, 0]) + u24(3) * 2), (whole[:4], whole[8:]), (b"EXIF", block))
    np.testing.assert_array_equal(read(data), upright)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("order", "kind"), [("<", 3), (">", 4), (">", 1)])
def test_every_orientation_is_turned_upright(read, orientation, order, kind):
    x = np.arange(12).reshape(3, 4)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(png(x, chunk(b"eXIf", exif(orientation)[6:])))))
    np.testing.assert_array_equal(read(png(x, chunk(b"eXIf", exif(orientation, order, kind)[6:]))), grey(np.asarray(upright)))


# ---- transparency ----

WHITE, HIDDEN = 255, np.array([[0, 1], [2, 3]])
COLOURS = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [0, 0, 0]], np.uint8)


@pytest.mark.parametrize(("depth", "samples", "key", "seen"), [
    (1, [[0, 1]], 0, [[WHITE, 255]]), (1, [[0, 1]], 1, [[0, WHITE]]),
    (2, HIDDEN, 2, [[0, 85], [WHITE, 255]]), (4, [[5, 10]], 10, [[85, WHITE]]), (8, [[4, 5]], 5, [[4, WHITE]]),
    (2, HIDDEN, 0xFFFE, [[0, 85], [WHITE, 255]]), (8, [[4, 5]], 0x0105, [[4, WHITE]]),           # only the lower bits count
    (16, [[0x1234, 0x1235]], 0x1234, [[WHITE, 0x12]]), (16, [[0x3400, 0x12]], 0x1234, [[0x34, 0]])])
def test_the_key_of_a_grey_png_is_compared_in_its_own_depth(read, depth, samples, key, seen):
    np.testing.assert_array_equal(read(png(samples, chunk(b"tRNS", struct.pack(">H", key)), depth=depth)), grey(seen))


@pytest.mark.parametrize(("depth", "samples", "key", "seen"), [
    (8, [4, 5, 6], [4, 5, 6], [WHITE] * 3), (8, [4, 5, 6], [4, 5, 7], [4, 5, 6]), (8, [4, 5, 6], [0x104, 5, 6], [WHITE] * 3),
    (16, [0x1234] * 3, [0x1234] * 3, [WHITE] * 3), (16, [0x3400] * 3, [0x1234] * 3, [0x34] * 3),
    (16, [0x1234, 0, 0x56FF], [0x1234, 0, 0x5600], [0x12, 0, 0x56])])
def test_the_key_of_a_png_in_colours_is_compared_in_its_own_depth(read, depth, samples, key, seen):
    data = png([[samples]], chunk(b"tRNS", struct.pack(">3H", *key)), depth=depth, colour=RGB)
    np.testing.assert_array_equal(read(data), [[seen]])


@pytest.mark.parametrize("alpha", [[255, 0], [0], [255, 0, 255, 255], [51, 255, 102], [0, 0, 0, 0], list(range(256))])
def test_every_colour_of_a_palette_may_be_transparent(read, alpha):
    share = np.array([*alpha, 255, 255, 255, 255])[:4, None] / 255
    for depth in (2, 4, 8):
        data = png(HIDDEN, chunk(b"PLTE", COLOURS.tobytes()), chunk(b"tRNS", bytes(alpha)), depth=depth, colour=PALETTE)
        np.testing.assert_allclose(read(data), (COLOURS * share + 255 * (1 - share))[HIDDEN], atol=1)


@pytest.mark.parametrize("body", [b"\0", b"\0\4\0\4\0\4"])
def test_a_key_of_another_length_is_none(read, body):
    np.testing.assert_array_equal(read(png([[4, 5]], chunk(b"tRNS", body))), grey([[4, 5]]))


def gif(canvas, at, frame, colours, transparent=None, colours_of_all=None):
    """A GIF in 4 colours, not compressed: every code has 3 bits, and a clear code (4) stands before each pixel."""
    codes = "".join(format(code, "03b")[::-1] for pixel in np.ravel(frame) for code in (4, pixel)) + "101"   # 5 ends it
    packed = bytes(int(codes[i:i + 8].ljust(8, "0")[::-1], 2) for i in range(0, len(codes), 8))
    return b"".join((
        b"GIF89a", struct.pack("<HHBBB", *canvas, 0 if colours_of_all is None else 0x81, 0, 0),
        b"" if colours_of_all is None else colours_of_all.tobytes(),
        b"" if transparent is None else b"!\xf9\4\1\0\0" + bytes([transparent, 0]),
        b",", struct.pack("<HHHHB", *at, *np.shape(frame)[::-1], 0x81), colours.tobytes(),
        b"\2", bytes([len(packed)]), packed, b"\0;"))


@pytest.mark.parametrize("transparent", [None, 0, 2])
def test_what_the_first_frame_of_a_gif_leaves_uncovered_is_white(read, transparent):
    seen = np.full((4, 5, 3), WHITE)
    seen[1:3, 2:4] = COLOURS[HIDDEN]
    seen[1:3, 2:4][HIDDEN == transparent] = WHITE
    np.testing.assert_array_equal(read(gif((5, 4), (2, 1), HIDDEN, COLOURS, transparent)), seen)


def test_a_gif_in_grey_does_not_take_the_colours_of_other_frames(read):
    ramp = grey(np.arange(4, dtype=np.uint8)[None])
    np.testing.assert_array_equal(read(gif((2, 2), (0, 0), HIDDEN, ramp, colours_of_all=COLOURS)), grey(HIDDEN))


def test_what_the_first_frame_of_a_webp_leaves_uncovered_is_white(read):
    whole = by_pillow(np.full((2, 2, 3), 100), "WEBP")[12:]            # lossy, without an alpha
    frame = u24(1) + u24(1) + u24(1) + u24(1) + u24(100) + b"\0" + whole               # at (2, 2), 2 x 2
    seen = read(webp((b"VP8X", bytes([2, 0, 0, 0]) + u24(5) + u24(3)), (b"ANIM", bytes(6)), (b"ANMF", frame)))
    expected = np.full((4, 6, 3), WHITE)
    expected[2:4, 2:4] = 100
    np.testing.assert_allclose(seen, expected, atol=2)


# ---- depth ----

def test_16_bits_of_grey_are_read_as_16_bits_of_colour(read):
    deep = np.array([[0, 255, 256], [1000, 0x1234, 65535]])
    np.testing.assert_array_equal(read(png(deep, depth=16)), grey(deep // 256))
    np.testing.assert_array_equal(read(png(grey(deep), depth=16, colour=RGB)), grey(deep // 256))
    for mode, kind in (("I;16", "<u2"), ("I;16B", ">u2")):
        file = io.BytesIO()
        Image.frombytes(mode, (3, 2), deep.astype(kind).tobytes()).save(file, "TIFF")
        np.testing.assert_array_equal(read(file.getvalue()), grey(deep // 256))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_deeper_pictures_are_refused(read, mode):
    file = io.BytesIO()
    Image.new(mode, (2, 2), 7).save(file, "TIFF")
    with pytest.raises(ValueError, match="image_folder: .*a.png .*at most 16 bits a channel"):
        read(file.getvalue())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(read, mode):
    image, file = Image.fromarray(grey(HALVES).astype(np.uint8)).convert(mode), io.BytesIO()
    image.save(file, "TIFF")
    np.testing.assert_array_equal(read(file.getvalue()), np.asarray(image.convert("RGB")))


def test_the_inks_of_a_jpeg_are_not_turned_round(read):
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), [200, 100, 50], np.uint8)).convert("CMYK").save(file, "JPEG", quality=100)
    np.testing.assert_allclose(read(file.getvalue()), np.full((8, 8, 3), [200, 100, 50]), atol=3)


# ---- damage ----

def test_a_damaged_png_is_refused_wherever_it_is_damaged(read):
    data = png(np.random.default_rng(0).integers(0, 256, (5, 5)))
    for i in range(len(data) - 12):                    # the last 12 bytes are IEND
        with pytest.raises(ValueError, match="image_folder: .*a.png"):
            read(data[:i] + bytes([data[i] ^ 1]) + data[i + 1:])
        with pytest.raises(ValueError, match="image_folder: .*a.png"):
            read(data[:i])


def test_a_palette_without_colours_is_refused(read):
    with pytest.raises(ValueError, match="image_folder: .*a.png"):
        read(png(HIDDEN, colour=PALETTE))


def test_what_follows_the_end_of_a_png_does_not_matter(read):
    np.testing.assert_array_equal(read(png(HALVES) + b"whatever a server has put here"), grey(HALVES))


def test_a_large_picture_is_read_and_a_bomb_refused(read, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 15)
    np.testing.assert_array_equal(read(png(HALVES)), grey(HALVES))     # Pillow warns
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
    with pytest.raises(ValueError, match="image_folder: .*a.png .*16 pixels"):
        read(png(HALVES))
