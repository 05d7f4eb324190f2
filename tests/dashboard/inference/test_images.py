"""Pictures of every kind become the model's numbers, or a sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dashboard.errors import BadInput
from dashboard.inference import images
from dashboard.inference.images import image_tensor, open_image

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
