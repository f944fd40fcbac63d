"""Media become arrays, and hostile bytes become an error that costs nothing."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
import wave
import zlib

import numpy as np
import PIL.Image
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from echelon.adapters import Audio, Image, InvalidInputError, Mask, MissingExtraError, Video, VideoFrame, decode

RGB = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def encoded(image: PIL.Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb(width: int, height: int) -> bytes:
    """A tiny PNG that claims to be huge."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def wav(samples: bytes, *, channels: int = 1, width: int = 2, rate: int = 8000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as opened:
        opened.setnchannels(channels)
        opened.setsampwidth(width)
        opened.setframerate(rate)
        opened.writeframes(samples)
    return out.getvalue()


@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_pixels_survive_lossless_formats(form: str, options: dict[str, object]) -> None:
    assert (decode.image(encoded(PIL.Image.fromarray(RGB), form, **options)) == RGB).all()


def test_a_jpeg_is_read() -> None:
    assert decode.image(encoded(PIL.Image.fromarray(RGB), "JPEG")).shape == RGB.shape


@pytest.mark.parametrize(
    ("mode", "shape"), [("1", (4, 6)), ("L", (4, 6)), ("LA", (4, 6, 3)), ("P", (4, 6, 3)), ("RGBA", (4, 6, 3))]
)
def test_every_mode_becomes_grey_or_rgb(mode: str, shape: tuple[int, ...]) -> None:
    assert decode.image(encoded(PIL.Image.fromarray(RGB).convert(mode), "PNG")).shape == shape


def test_16_bits_a_pixel_are_scaled_and_not_clipped() -> None:
    deep = np.array([[0, 256, 32768, 65535]], np.uint16)
    assert decode.image(encoded(PIL.Image.fromarray(deep), "PNG")).tolist() == [[0, 1, 128, 255]]


@pytest.mark.parametrize("size", [(8000, 8000), (60_000, 60_000)])
def test_an_image_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidInputError, match="pixels, at most 50000000 are taken"):
        decode.image(bomb(*size))


@pytest.mark.parametrize("data", [b"", b"no image", encoded(PIL.Image.fromarray(RGB), "BMP"), bomb(4, 4)[:40]])
def test_bytes_that_are_no_known_image_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError, match="must be one of PNG, JPEG, WEBP"):
        decode.image(data)


def test_a_damaged_image_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="the file is damaged"):
        decode.image(encoded(PIL.Image.effect_noise((64, 64), 50), "PNG")[:2000])


@given(data=st.binary(max_size=200), at=st.integers(0, 120))
def test_no_bytes_make_an_image_raise_anything_else(data: bytes, at: int) -> None:
    whole = encoded(PIL.Image.fromarray(RGB), "PNG")
    with contextlib.suppress(InvalidInputError):
        assert decode.image(whole[:at] + data + whole[at + len(data) :]).dtype == np.uint8


FRAMES = np.stack([RGB, RGB + 1, RGB + 2])


def test_frames_and_clips_become_the_same_array() -> None:
    images = [PIL.Image.fromarray(frame) for frame in FRAMES]
    clip = encoded(images[0], "PNG", save_all=True, append_images=images[1:])
    assert (Video.from_array(FRAMES, frames_per_second=3).array() == FRAMES).all()
    assert (Video(data=clip, media_type="image/apng").array() == FRAMES).all()


@pytest.mark.parametrize(
    ("video", "said"),
    [
        (Video(), "either frames or an encoded clip"),
        (Video(data=b"x", media_type="video/mp4"), "cannot decode a clip of type 'video/mp4'"),
        (Video(data=b"GIF89a", media_type="image/gif"), "cannot read the clip"),
        (
            Video(frames=(VideoFrame(Image.from_array(RGB), 0), VideoFrame(Image.from_array(RGB[:2]), 1))),
            "must have one size",
        ),
        (Video(frames=(VideoFrame(Image.from_array(RGB), 0),) * 1025), "has 1025 frames, at most 1024"),
    ],
)
def test_a_video_that_cannot_be_taken_is_told(video: Video, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        video.array()


def test_the_frames_of_a_video_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MAX_PIXELS", 2 * RGB[..., 0].size)
    assert Video.from_array(FRAMES[:2], frames_per_second=1).array().shape == (2, 4, 6, 3)
    with pytest.raises(InvalidInputError, match="the video has 72 pixels, at most 48"):
        Video.from_array(FRAMES, frames_per_second=1).array()


def test_a_clip_whose_frames_are_cut_off_is_refused() -> None:
    images = [PIL.Image.fromarray(np.roll(RGB, i, 1)).resize((64, 64)) for i in range(4)]
    clip = encoded(images[0], "GIF", save_all=True, append_images=images[1:])
    with pytest.raises(InvalidInputError, match="damaged"):
        Video(data=clip[: len(clip) // 2], media_type="image/gif").array()


def test_a_mask_is_its_png_or_its_run_lengths() -> None:
    values = np.array([[0, 1], [2, 1]], np.uint8)
    assert (Mask.from_array(values).array() == values).all()
    # Column by column, as COCO counts.
    assert Mask(2, 3, run_lengths=(1, 3, 2)).array().tolist() == [[0, 1, 0], [1, 1, 0]]


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (Mask(2, 2, run_lengths=(1, 2)), "do not add up to 2x2"),
        (Mask(2, 2, run_lengths=(-1, 5)), "do not add up"),
        (Mask(3, 2, png=Mask.from_array(np.zeros((2, 2), int)).png), "says 3x2, its PNG is 2x2"),
        (Mask(100_000, 100_000, run_lengths=(10**10,)), "at most 50000000"),
    ],
)
def test_a_mask_that_contradicts_itself_is_told(mask: Mask, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        mask.array()


@pytest.mark.parametrize(
    ("samples", "width", "expected"),
    [
        (bytes([0, 128, 255]), 1, [-1, 0, 127 / 128]),
        (struct.pack("<3h", -32768, 0, 16384), 2, [-1, 0, 0.5]),
        (b"\x00\x00\x80\x00\x00\x00\x00\x00\x40", 3, [-1, 0, 0.5]),
        (struct.pack("<3i", -(2**31), 0, 2**30), 4, [-1, 0, 0.5]),
    ],
)
def test_samples_of_every_width_are_read(samples: bytes, width: int, expected: list[float]) -> None:
    values, rate = decode.audio(wav(samples, width=width))
    assert values[:, 0].tolist() == expected
    assert rate == 8000


def test_sound_survives_as_16_bits() -> None:
    samples = np.array([[0.5, -1.0], [0.25, 2.0]])
    values, rate = Audio.from_array(samples, 22050).array()
    assert np.abs(values - np.clip(samples, -1, 1)).max() < 2**-15 + 1e-9
    assert rate == 22050


def test_a_sound_that_is_not_finite_is_not_written() -> None:
    with pytest.raises(ValueError, match="samples must be finite"):
        Audio.from_array(np.array([np.nan]), 8000)


def test_a_header_that_promises_more_than_there_is_gives_what_there_is() -> None:
    data = bytearray(wav(struct.pack("<2h", 1, 2)))
    data[40:44] = struct.pack("<I", 2**31 - 2)
    assert decode.audio(bytes(data))[0].shape == (2, 1)


@pytest.mark.parametrize(
    ("at", "value"),
    [(22, b"\x00\x00"), (34, b"\x00\x00"), (34, b"\x40\x00"), (20, b"\x03\x00"), (24, bytes(4)), (0, b"RIFX")],
    ids=["no channels", "no bits", "64 bits", "floats", "no rate", "no riff"],
)
def test_a_header_that_makes_no_sense_is_refused(at: int, value: bytes) -> None:
    data = bytearray(wav(struct.pack("<4h", 1, 2, 3, 4)))
    data[at : at + len(value)] = value
    with pytest.raises(InvalidInputError):
        decode.audio(bytes(data))


TONE = (0.5 * np.sin(np.arange(8000) * 0.2)).astype(np.float32)[:, None].repeat(2, axis=1)


def sound(form: str, subtype: str | None = None, samples: np.ndarray = TONE) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, 16_000, format=form, subtype=subtype)
    return out.getvalue()


@pytest.mark.parametrize(
    ("form", "subtype", "error"),
    [
        ("FLAC", None, 1e-4),
        ("WAV", "FLOAT", 0),
        ("WAVEX", "PCM_24", 1e-6),
        ("OGG", "VORBIS", 0.05),
        ("OGG", "OPUS", 0.2),
        ("MP3", None, 0.1),
    ],
)
def test_encoded_sounds_are_heard(form: str, subtype: str | None, error: float) -> None:
    values, rate = decode.audio(sound(form, subtype))
    assert values.dtype == np.float32
    assert (values.shape, rate) == (TONE.shape, 16_000)
    assert np.abs(values - TONE).mean() <= error


def test_the_samples_of_an_encoded_sound_are_counted_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MAX_AUDIO_SAMPLES", TONE.size - 1)
    for form in ("FLAC", "OGG", "MP3"):
        with pytest.raises(InvalidInputError, match="the sound has 16000 samples, at most 15999"):
            decode.audio(sound(form))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0\0\0\x20ftypM4A " + bytes(40), "must be a WAV, FLAC, Ogg or MP3 file"),
        (b"", "must be a WAV, FLAC, Ogg or MP3 file"),
        (sound("FLAC")[:60], "the file is damaged"),
        (b"OggS" + bytes(60), "the file is damaged"),
        (sound("WAV", "FLOAT", np.full((4, 1), np.nan)), "not finite"),
        (sound("WAV", "FLOAT", np.zeros((0, 1))), "empty"),
    ],
)
def test_a_sound_that_cannot_be_decoded_is_told(data: bytes, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        decode.audio(data)


def test_without_its_package_only_pcm_is_heard_and_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded_sound = sound("FLAC")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    assert decode.audio(wav(bytes(8)))[0].shape == (4, 1)
    with pytest.raises(MissingExtraError, match=r"echelon\[audio\]"):
        decode.audio(encoded_sound)
    with pytest.raises(InvalidInputError):
        decode.audio(b"no sound")


@given(data=st.binary(max_size=60), at=st.integers(0, 300))
def test_no_bytes_make_an_encoded_sound_raise_anything_else(data: bytes, at: int) -> None:
    whole = sound("FLAC", samples=TONE[:100])
    with contextlib.suppress(InvalidInputError):
        assert decode.audio(whole[:at] + data + whole[at + len(data) :])[0].dtype == np.float32


@pytest.mark.parametrize(
    ("audio_type", "decoded"), [("audio/wav", True), ("audio/flac", True), ("audio/mpeg", True), ("audio/mp4", False)]
)
def test_what_is_decoded_is_known_by_its_type(audio_type: str, decoded: bool) -> None:
    assert decode.decodes(Audio(b"", audio_type)) is decoded
    assert not decode.decodes(Video(b"", "video/mp4"))
    assert decode.decodes(Video(b"", "image/gif"))


@pytest.mark.parametrize(
    ("mode", "form"),
    [*((mode, form) for mode in ("1", "L", "P", "RGB", "RGBA") for form in ("BMP", "TIFF")), ("I;16", "TIFF")],
)
def test_a_bitmap_becomes_a_png_of_the_same_pixels(mode: str, form: str) -> None:
    deep = PIL.Image.fromarray((np.arange(24, dtype=np.uint16) * 2000).reshape(4, 6))
    picture = deep if mode == "I;16" else PIL.Image.fromarray(RGB * 3).convert(mode)
    source = encoded(picture, form)
    with PIL.Image.open(io.BytesIO(source)) as before, PIL.Image.open(io.BytesIO(decode.as_png(source))) as after:
        assert after.format == "PNG"
        assert (np.asarray(before.convert("RGBA")) == np.asarray(after.convert("RGBA"))).all()


def deep_colour() -> bytes:
    """A TIFF of 16 bits a colour, which Pillow does not write."""
    values = struct.pack("<3H", 1, 2, 3)
    tags = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 14)]
    tags += [(277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 6)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 20) + struct.pack("<3H", 16, 16, 16) + values + directory


PAGES = {"save_all": True, "append_images": [PIL.Image.fromarray(RGB)]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (encoded(PIL.Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF"), "8 bits a channel"),
        (encoded(PIL.Image.fromarray(RGB).convert("CMYK"), "TIFF"), "8 bits a channel"),
        (deep_colour(), "8 bits a channel"),
        (encoded(PIL.Image.fromarray(RGB), "TIFF", **PAGES), "several pages"),
        (encoded(PIL.Image.fromarray(RGB), "PNG"), "must be one of BMP, TIFF"),
        (encoded(PIL.Image.effect_noise((64, 64), 50), "BMP")[:2000], "the file is damaged"),
    ],
)
def test_a_bitmap_that_png_cannot_hold_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        decode.as_png(data)


def test_a_bitmap_bomb_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "MAX_PIXELS", RGB[..., 0].size - 1)
    with pytest.raises(InvalidInputError, match="the image has 24 pixels, at most 23"):
        decode.as_png(encoded(PIL.Image.fromarray(RGB), "TIFF"))


@given(data=st.binary(max_size=60), at=st.integers(0, 60))
def test_no_bytes_make_a_sound_raise_anything_else(data: bytes, at: int) -> None:
    whole = wav(bytes(40))
    with contextlib.suppress(InvalidInputError):
        assert decode.audio(whole[:at] + data + whole[at + len(data) :])[0].dtype == np.float32


def test_a_clip_whose_frame_outgrows_its_header_is_refused() -> None:
    images = [PIL.Image.fromarray(np.roll(RGB, i, 1)) for i in range(2)]
    clip = bytearray(encoded(images[0], "GIF", save_all=True, append_images=images[1:]))
    # The last image descriptor, after its graphic control: comma, left, top, width, height.
    second = clip.rindex(b"\x21\xf9\x04") + 8
    clip[second + 5 : second + 9] = struct.pack("<HH", 60, 60)
    with pytest.raises(InvalidInputError, match="frame 1 of the clip: the file is damaged"):
        Video(data=bytes(clip), media_type="image/gif").array()
