"""What a picture file contains besides its pixels: taken off before Pillow reads the file, so that it never costs the picture.

Pillow refuses a whole picture for one text that is very large, or for one colour profile, preview or EXIF that is damaged.
Of all that, minigan needs two facts: how the picture must be turned, and what of a PNG is transparent.

Source    Portable Network Graphics, 3rd edition, W3C 2025;  JPEG: ITU-T T.81, annex B;  EXIF: TIFF 6.0, section 2
"""
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RAW_PROFILE = b"Raw profile type exif\0"              # a text with the EXIF, from before PNG had the chunk eXIf
ORIENTATION, INTEGERS = 0x0112, {1: "B", 3: "H", 4: "I"}      # a tag, and the types that it may have


def take_off(data):
    """The bytes of a picture file -> (the same picture without metadata, its EXIF, the tRNS of a PNG), each b"" if missing.

    Errors    ValueError for a PNG with a damaged chunk of pixels
    """
    if data.startswith(SIGNATURE):
        return _png(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X" and len(data) > 20 and data[20] & 2:
        data = data[:20] + bytes([data[20] | 16]) + data[21:]          # an animation: what no frame covers is transparent
    return data, b"", b""


def _png(data):
    """A chunk is its length, kind, body and checksum. Kinds with a small first letter are not needed for the pixels."""
    kept, taken, at = [SIGNATURE], {}, len(SIGNATURE)
    while at + 12 <= len(data) and kept[-1][4:8] != b"IEND":
        chunk = data[at:at + 12 + int.from_bytes(data[at:at + 4], "big")]
        at += len(chunk)
        kind, body, checksum = chunk[4:8], chunk[8:-4], chunk[-4:]
        intact = zlib.crc32(chunk[4:-4]) == int.from_bytes(checksum, "big")
        if not kind[:1].islower():
            if not intact:
                raise ValueError(f"its chunk {kind} is damaged or cut off")
            kept.append(chunk)
        elif intact and body.startswith(RAW_PROFILE):
            taken.setdefault(RAW_PROFILE, _from_hexadecimal(body[len(RAW_PROFILE):], compressed=kind == b"zTXt"))
        elif intact:
            taken.setdefault(kind, body)               # the first of a kind counts
    return b"".join(kept), taken.get(b"eXIf") or taken.get(RAW_PROFILE, b""), taken.get(b"tRNS", b"")


def _from_hexadecimal(text, compressed):
    """Three lines of header, then the EXIF in hexadecimal digits; at most as much of it as a JPEG can hold."""
    try:
        if compressed:                                 # after one byte for the method
            text = zlib.decompressobj().decompress(text[1:], 2**18)
        return bytes.fromhex(b"".join(text.split(b"\n")[3:])[:2**17].decode("ascii"))
    except (zlib.error, ValueError):
        return b""


def _jpeg(data):
    """A segment is FF, its marker, its length and its content. Of those that applications write (markers E0 to EF), only
    JFIF's (E0) and Adobe's (EE) are needed: they say how the colours are stored."""
    kept, exif, at = [data[:2]], b"", 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:      # DA: the pixels begin
        marker, length = data[at + 1], int.from_bytes(data[at + 2:at + 4], "big")
        if marker == 0xFF:                             # any number of them may stand before a marker
            at += 1
            continue
        if length < 2:                                 # this is no segment: Pillow may try
            break
        segment = data[at:at + 2 + length]
        at += len(segment)
        if not 0xE0 <= marker <= 0xEF or marker in (0xE0, 0xEE) and length >= 14:
            kept.append(segment)
        elif marker == 0xE1 and segment[4:10] == b"Exif\0\0":
            exif = exif or segment[4:]
    return b"".join(kept) + data[at:], exif, b""


def orientation(exif):
    """1 to 8 from the EXIF data, or 1, upright, if they have none. No other tag is read, so none can be wrong.

    Layout    maybe "Exif\\0\\0"; then "II" (small end first) or "MM", 42, and where the list of tags begins; there their
              number, and for each of them its name, type, count and value in 2, 2, 4 and 4 bytes
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        start, = struct.unpack_from(order + "I", exif, 4)
        tags, = struct.unpack_from(order + "H", exif, start)
        for at in range(start + 2, start + 2 + 12 * tags, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", exif, at)
            if tag == ORIENTATION and kind in INTEGERS and count == 1:
                value, = struct.unpack_from(order + INTEGERS[kind], exif, at + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:                               # its end is missing
        pass
    return 1
