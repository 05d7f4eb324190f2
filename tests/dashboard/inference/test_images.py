"""Pictures of every kind become the model's numbers, or a sentence."""

import io
import json
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dashboard.errors import BadInput
from dashboard.inference import images
from dashboard.inference.images import image_tensor, open_image
from tests.conftest import CHECKOUT

RGB = (-1, 3, 4, 4)
HALF = np.linspace(0, 255, 48).astype(np.uint8).reshape(4, 4, 3)


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_pixels_are_rescaled_and_normalised_as_hugging_face_does():
    options = {
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "image_mean": [0.1, 0.2, 0.3],
        "image_std": [0.5, 0.6, 0.7],
    }
    found = image_tensor(open_image(saved(Image.fromarray(HALF))), RGB, "float32", options)
    expected = ((HALF / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.6, 0.7]).transpose(2, 0, 1)[np.newaxis]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_layouts():
    image = open_image(saved(Image.fromarray(HALF)))
    assert image_tensor(image, (-1, 4, 4, 3), "uint8", {}).tolist() == [HALF.tolist()]
    assert image_tensor(image, (-1, 1, 8, 8), "float32", {}).shape == (1, 1, 8, 8)
    assert image_tensor(image, (-1, 64), "float32", {"size": {"height": 8, "width": 8}}).shape == (1, 64)
    assert image_tensor(image, (-1, 3, -1, -1), "float32", {"size": {"shortest_edge": 6}}).shape == (1, 3, 6, 6)
    with pytest.raises(BadInput, match="64 numbers, but the model takes 65"):
        image_tensor(image, (-1, 65), "float32", {"size": [8, 8]})


def test_a_photograph_lying_on_its_side_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = open_image(saved(Image.new("RGB", (8, 4)), "JPEG", exif=exif))
    assert turned.size == (4, 8)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"])
def test_every_mode_becomes_grey_or_colour(mode):
    kind = "TIFF" if mode in ("CMYK", "YCbCr", "LAB", "F", "I", "I;16") else "PNG"
    found = open_image(saved(Image.new(mode, (5, 3)), kind))
    assert found.mode in ("L", "RGB")
    assert found.size == (5, 3)


def test_sixteen_bits_are_scaled_not_cut():
    deep = Image.fromarray(np.array([[0, 32896], [65535, 257]], np.uint16))
    assert np.asarray(open_image(saved(deep))).tolist() == [[0, 128], [255, 1]]


def test_transparent_pixels_are_white_and_animations_give_their_first_frame():
    assert open_image(saved(Image.new("RGBA", (1, 1), (9, 9, 9, 0)))).getpixel((0, 0)) == (255, 255, 255)
    frames = [Image.new("RGB", (2, 2), color) for color in ("red", "blue")]
    moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert open_image(moving).convert("RGB").getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    "data", [b"", b"not a picture", saved(Image.fromarray(HALF))[:40], b"%!PS-Adobe-3.0 EPSF", b"<svg/>"]
)
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(BadInput, match="PNG, JPEG"):
        open_image(data)


def png_header(width, height):
    """A PNG that says how large it is and holds nothing."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize("size", [(8_000, 8_000), (10_000, 10_000), (20_000, 20_000)])
def test_a_huge_picture_is_refused_before_it_is_unpacked(size):
    with pytest.raises(BadInput, match="at most 50 megapixels"):
        open_image(png_header(*size))


def black_png(edge):
    """A whole black and white PNG of edge x edge pixels, without ever holding them."""
    head, body = struct.pack(">IIBBBBB", edge, edge, 1, 0, 0, 0, 0), zlib.compressobj(1)
    line = b"\0" + bytes(edge // 8)
    packed = b"".join([body.compress(line * 100) for _ in range(edge // 100)]) + body.flush()
    chunks = [(b"IHDR", head), (b"IDAT", packed), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def dangerous():
    """Files by name, the largest picture first: what is refused, and what is odd but fine."""
    photo, deep = Image.new("RGB", (1500, 1500), "navy"), Image.fromarray(np.full((1500, 1500), 40_000, np.uint16))
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "20,000 x 20,000": black_png(20_000),
        "truncated": saved(photo, "JPEG")[:9000],
        "animated": saved(photo, "GIF", save_all=True, append_images=[photo.rotate(90)] * 9),
        "CMYK": saved(photo.convert("CMYK"), "JPEG"),
        "16 bits": saved(deep, "TIFF"),
        "lying": saved(photo.resize((1500, 1000)), "JPEG", exif=turned),
    }


# in a process of its own: round, file, seconds, megabytes more than when the round began now and at most, the refusal
_MEASURE = """
import json, resource, sys, time
from pathlib import Path
from dashboard.errors import BadInput
from dashboard.inference.images import open_image

def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

files = {Path(path).name: Path(path).read_bytes() for path in sys.argv[1:]}
for round in range(3):  # the allocator keeps what it got once, so only later rounds tell what is lost
    before, start = held(), peak()
    for name, data in files.items():
        began, said = time.perf_counter(), ""
        try:
            open_image(data)
        except BadInput as error:
            said = str(error)
        print(json.dumps([round, name, time.perf_counter() - began, held() - before, peak() - start, said]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_dangerous_pictures_take_little_time_and_give_their_memory_back(tmp_path):
    files = dangerous()
    paths = [tmp_path / name for name in files]
    for path, data in zip(paths, files.values(), strict=True):
        path.write_bytes(data)
    command = [sys.executable, "-c", _MEASURE, *map(str, paths)]
    told = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60).stdout
    refused = {"20,000 x 20,000": "has 400 megapixels", "truncated": "cannot be read"}
    for round_, name, seconds, kept, most, said in map(json.loads, told.splitlines()):
        assert refused.get(name, "") in said and (name in refused) == bool(said), name
        assert seconds < 3 and kept < (20 if round_ else 60), told
        assert most < (20 if name.startswith("20,000") else 100), told


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=30), st.integers(0, 150), st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
)
def test_damaged_files_never_raise_anything_else(noise, place, kind):
    good = saved(Image.fromarray(HALF), kind)
    try:
        assert open_image(good[:place] + noise + good[place + len(noise) :]).mode in ("L", "RGB")
    except BadInput:
        return


def test_formats_that_start_programs_are_not_tried():
    assert not {"EPS", "PDF", "WMF"} & set(images.FORMATS)
