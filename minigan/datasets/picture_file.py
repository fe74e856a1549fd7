"""One picture file in, one upright RGB picture on white out. Pillow decodes; what it leaves undone or does wrongly is here."""
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from minigan.datasets.metadata import orientation, take_off

UPRIGHT = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
           5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
           8: Image.Transpose.ROTATE_90}


def read_rgb(path):
    """The picture in a file as a Pillow image of mode RGB: upright, on white where it is transparent. An animation gives its
    first frame, 16 bits a channel their upper 8.

    Errors    ValueError, one sentence, for anything but a whole picture of at most 16 bits a channel
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")            # what Pillow warns of it reads: also under python -W error
            return _read(Path(path).read_bytes())
    except Exception as error:  # noqa: BLE001          Pillow raises almost anything on a damaged file
        unknown = isinstance(error, UnidentifiedImageError)            # whose text names an object in memory
        problem = "an unknown format, or a damaged beginning" if unknown else str(error) or type(error).__name__
        raise ValueError(f"image_folder: expected a picture, cannot read {path} ({problem})") from None


def _read(data):
    data, exif, key = take_off(data)
    with Image.open(io.BytesIO(data)) as image:
        frame = image.tile[0][1] if image.format == "GIF" else None    # the part of the canvas that has pixels
        if image.mode == "L":
            image.palette = None                       # the global one of a GIF, which a grey frame does not use
        image.load()
    opacity = _opacity(image, data, key) if key else None
    turn = UPRIGHT.get(orientation(exif or image.info.get("exif", b"")))
    image = _on_white(_in_8_bits(image), opacity, frame)
    return image if turn is None else image.transpose(turn)


def _in_8_bits(image):
    if image.mode.startswith("I;16") or image.mode == "I" and image.format == "PNG":       # 16 bits, in any Pillow
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))                  # as Pillow does with colours
    if image.mode in ("I", "F"):
        raise ValueError(f"expected at most 16 bits a channel, got Pillow's mode {image.mode}")
    return image


def _on_white(image, opacity, frame):
    if opacity is not None:
        image = image.convert("RGB")
        image.putalpha(Image.fromarray(opacity))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    if frame is not None:
        white = Image.new("RGB", image.size, "white")
        white.paste(image.crop(frame), frame)
        return white
    return image


def _opacity(image, data, key):
    """(H, W), 0 to 255: what the chunk tRNS of a PNG, `key`, says, or None. For a palette it holds the opacity of each entry,
    otherwise the one colour that is transparent, to be compared in the depth of the file.

    Source    PNG specification, 11.3.1.1: of a key's 16 bits, as many count as a sample has
    """
    depth, colour = data[24:26]                        # in the header, which always comes first
    samples = np.asarray(image.convert("L") if image.mode == "1" else image)
    if colour == 3:
        opacity = np.full(256, 255, np.uint8)
        opacity[:len(key)] = np.frombuffer(key[:256], np.uint8)
        return opacity[samples]
    samples = samples.reshape(*samples.shape[:2], -1)
    if len(key) != 2 * samples.shape[2]:
        return None
    key = np.frombuffer(key, ">u2").astype(int) % 2**depth
    if depth < 8:
        key = key * (255 // (2**depth - 1))            # Pillow has spread the samples over 0 to 255
    if (depth, colour) == (16, 2):
        samples = 256 * samples.astype(np.uint16) + _lower_bytes(data)
    return np.where((samples == key).all(axis=2), 0, 255).astype(np.uint8)


def _lower_bytes(data):
    """Of a PNG with 16 bits a colour Pillow keeps the upper bytes; with the order of the bytes exchanged, the lower ones."""
    with Image.open(io.BytesIO(data)) as image:
        decoder, box, offset, _ = image.tile[0]
        image.tile = [(decoder, box, offset, "RGB;16L")]
        return np.asarray(image)
