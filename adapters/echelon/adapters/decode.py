"""The one place where media become arrays and arrays become media.

Formats are listed, and sizes are read from headers and checked before pixels or samples are materialised, so that
decoding can move into a worker and a bomb costs nothing.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from echelon.adapters.errors import EchelonError, InvalidInputError, MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from echelon.adapters.content import Audio, Mask, Video

MAX_PIXELS = 50_000_000
"""Pixels of one image, or of all frames of one video."""
MAX_FRAMES = 1024
MAX_AUDIO_SAMPLES = 64_000_000
"""Samples of one sound over all channels."""

IMAGE_FORMATS = ("PNG", "JPEG", "WEBP")
CLIP_FORMATS = ("GIF", "WEBP", "PNG")
CLIP_TYPES = ("image/gif", "image/webp", "image/png", "image/apng")
CONVERTED_FORMATS = ("BMP", "TIFF")
SOUND_TYPES = ("audio/wav", "audio/flac", "audio/ogg", "audio/mpeg")
SOUND_FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3")


def decodes(part: Audio | Video) -> bool:
    """Whether a sound or clip is of a type that is decoded here; others are for models that decode by themselves."""
    types = SOUND_TYPES if part.kind == "audio" else (*CLIP_TYPES, "")
    return part.media_type in types


def image(data: bytes) -> NDArray[np.uint8]:
    """Pixels of a PNG, JPEG or WebP as uint8, (height, width, 3) or (height, width) in grey."""
    import numpy as np

    pixels = deep_image(data)
    return (pixels >> 8 if pixels.dtype == np.uint16 else pixels).astype(np.uint8, copy=False)


def deep_image(data: bytes) -> NDArray[np.unsignedinteger[Any]]:
    """Return the pixels as `image` does, but as uint16 where a grey image has 16 bits a pixel."""
    with _open(data, IMAGE_FORMATS, "image") as opened:
        _check_pixels(opened.width * opened.height, "image")
        return _pixels(opened, "image")


def has_deep_colours(data: bytes) -> bool:
    """Return whether a PNG has 16 bits a channel in colour or beside transparency, of which Pillow reads 8."""
    header = data[:_PNG_HEADER]
    return header.startswith(b"\x89PNG") and len(header) == _PNG_HEADER and header[24] == 16 and header[25] != 0


_PNG_HEADER = 26
"""Bytes up to the bit depth and the colour type of a PNG, which is 0 for grey."""


def video(part: Video) -> NDArray[np.uint8]:
    """All frames as uint8, (frames, height, width[, 3])."""
    import numpy as np

    if bool(part.frames) == bool(part.data):
        raise InvalidInputError("a video has either frames or an encoded clip")
    if not part.frames:
        return _clip(part)
    _check_frames(len(part.frames))
    frames = []
    for frame in part.frames:
        frames.append(frame.image.array())
        _check_pixels(frames[0].shape[0] * frames[0].shape[1] * len(part.frames), "video")
        if frames[-1].shape != frames[0].shape:
            raise InvalidInputError("the frames of a video must have one size and one mode")
    return np.stack(frames)


def _clip(part: Video) -> NDArray[np.uint8]:
    import numpy as np

    if part.media_type not in CLIP_TYPES:
        raise InvalidInputError(
            f"cannot decode a clip of type {part.media_type!r}; send frames, or an animated GIF, PNG or WebP"
        )
    with _open(part.data, CLIP_FORMATS, "clip") as opened:
        count = _frame_count(opened)
        _check_frames(count)
        _check_pixels(opened.width * opened.height * count, "clip")
        size = opened.size
        return np.stack([_clip_frame(opened, index, size) for index in range(count)])


def _frame_count(opened: Any) -> int:
    try:
        return int(getattr(opened, "n_frames", 1))
    except Exception as error:  # Pillow's parsers raise nearly anything on hostile bytes
        raise InvalidInputError("cannot decode the clip: the file is damaged") from error


def _clip_frame(opened: Any, index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    import numpy as np

    try:
        opened.seek(index)
        if opened.size != size:  # a frame may claim a larger canvas than the header
            raise ValueError(f"{opened.size} after {size}")
        return np.asarray(opened.convert("RGB"))
    except Exception as error:  # Pillow's parsers raise nearly anything on hostile bytes
        raise InvalidInputError(f"cannot decode frame {index} of the clip: the file is damaged") from error


def mask(part: Mask) -> NDArray[np.uint8]:
    """Pixel values as uint8, (height, width)."""
    import numpy as np

    _check_pixels(part.height * part.width, "mask")
    if part.png:
        values = deep_image(part.png)
        if (highest := int(values.max(initial=0))) > 255:
            raise InvalidInputError(f"the mask has the value {highest}; the values of a mask go from 0 to 255")
        if values.shape != (part.height, part.width):
            raise InvalidInputError(
                f"the mask says {part.height}x{part.width}, its PNG is {'x'.join(map(str, values.shape))}"
            )
        return values.astype(np.uint8, copy=False)
    part.check_run_lengths()
    bits = np.arange(len(part.run_lengths), dtype=np.uint8) % 2
    return np.repeat(bits, part.run_lengths).reshape(part.width, part.height).T


def audio(data: bytes) -> tuple[NDArray[np.float32], int]:
    """Samples of a WAV, FLAC, Ogg or MP3 in [-1, 1] as (frames, channels), and samples per second.

    PCM WAV needs no package, the others need soundfile.
    """
    _check_sound_start(data)
    try:
        return _pcm(data)
    except (wave.Error, EOFError, RuntimeError):  # what wave raises on headers that lie
        return _encoded_sound(data)


def sound_header(data: bytes) -> tuple[int, int]:
    """Samples per second and channels of what `audio` decodes; nothing is decoded."""
    _check_sound_start(data)
    try:
        with wave.open(io.BytesIO(data)) as opened:
            return opened.getframerate(), opened.getnchannels()
    except (wave.Error, EOFError, RuntimeError):  # as in audio
        with _sound_file(data) as encoded:
            return encoded.samplerate, encoded.channels


def _pcm(data: bytes) -> tuple[NDArray[np.float32], int]:
    with wave.open(io.BytesIO(data)) as opened:
        channels, width, rate, frames = opened.getparams()[:4]
        # The header may promise more than the file holds.
        frames = min(frames, len(data) // max(1, channels * width))
        _check_sound(channels, rate, frames)
        raw = opened.readframes(frames)
    return _samples(raw, width, channels), rate


def _encoded_sound(data: bytes) -> tuple[NDArray[np.float32], int]:
    import numpy as np

    with _sound_file(data) as opened:
        _check_sound(opened.channels, opened.samplerate, opened.frames)
        samples, rate = opened.read(dtype="float32", always_2d=True), opened.samplerate
    if not len(samples) or not np.isfinite(samples).all():
        raise InvalidInputError("cannot decode the sound: it is empty, or not finite")
    # Lossy codecs overshoot.
    return samples.clip(-1, 1), rate


@contextmanager
def _sound_file(data: bytes) -> Iterator[Any]:
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as opened:
            if opened.format not in SOUND_FORMATS:
                raise InvalidInputError(f"cannot decode a sound of format {opened.format}")
            yield opened
    except EchelonError:
        raise
    except Exception as error:  # soundfile's own errors, and what its callbacks raise on hostile bytes
        raise InvalidInputError("cannot decode the sound: the file is damaged") from error


def _check_sound_start(data: bytes) -> None:
    is_mp3 = data[:3] == b"ID3" or (data[:1] == b"\xff" and data[1:2] >= b"\xe0")
    if not is_mp3 and not data.startswith((b"RIFF", b"fLaC", b"OggS")):
        raise InvalidInputError("cannot read the sound; it must be a WAV, FLAC, Ogg or MP3 file")


def _check_sound(channels: int, rate: int, frames: int) -> None:
    if rate < 1:
        raise InvalidInputError(f"the sound has {rate} samples a second")
    if frames * channels > MAX_AUDIO_SAMPLES:
        raise InvalidInputError(f"the sound has {frames * channels} samples, at most {MAX_AUDIO_SAMPLES} are taken")


def _samples(raw: bytes, width: int, channels: int) -> NDArray[np.float32]:
    import numpy as np

    raw = raw[: len(raw) // (width * channels) * width * channels]
    if width == 1:
        values = np.frombuffer(raw, np.uint8).astype(np.float32) / 128 - 1
    elif width == 2:
        values = np.frombuffer(raw, "<i2").astype(np.float32) / 2**15
    elif width == 3:
        padded = np.zeros((len(raw) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        values = padded.view("<i4")[:, 0].astype(np.float32) / 2**31
    elif width == 4:
        values = np.frombuffer(raw, "<i4").astype(np.float32) / 2**31
    else:
        raise InvalidInputError(f"cannot read WAV samples of {width} bytes")
    return np.asarray(values, np.float32).reshape(-1, channels)


def to_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode uint8 pixels, (height, width, 3) or (height, width)."""
    if pixels.dtype.name != "uint8" or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(f"pixels must be uint8 of (height, width[, 3]), not {pixels.dtype} of {pixels.shape}")
    out = io.BytesIO()
    _pillow().fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def as_png(data: bytes) -> bytes:
    """A BMP or TIFF as PNG, its pixels as they are; InvalidInputError for what PNG cannot hold."""
    with _open(data, CONVERTED_FORMATS, "image") as opened:
        _check_pixels(opened.width * opened.height, "image")
        if opened.mode not in _PNG_MODES or _is_deep_colour(opened):
            raise InvalidInputError(
                "PNG cannot hold these pixels as they are; save the image with 8 bits a channel or 16 in grey, or its "
                "values as a tensor"
            )
        if getattr(opened, "n_frames", 1) > 1:
            raise InvalidInputError("the file holds several pages; save each as an image of its own")
        out = io.BytesIO()
        try:
            opened.save(out, "PNG", compress_level=1)
        except Exception as error:  # truncated or hostile data, see _open
            raise InvalidInputError("cannot decode the image: the file is damaged") from error
    return out.getvalue()


_PNG_MODES = frozenset(("1", "L", "LA", "P", "RGB", "RGBA", "I;16"))
_BITS_PER_SAMPLE = 258
"""The tag of TIFF; Pillow reads 16 bits a colour as 8 without a word."""


def _is_deep_colour(opened: Any) -> bool:
    bits = getattr(opened, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    return len(bits) > 1 and max(bits) > 8


def to_wav(samples: NDArray[np.floating], sample_rate_hz: int) -> bytes:
    """Encode samples in [-1, 1], (frames,) or (frames, channels), as 16-bit PCM."""
    import numpy as np

    if not np.isfinite(samples).all():
        raise ValueError("samples must be finite")
    pcm = np.clip(np.rint(samples * 2**15), -(2**15), 2**15 - 1).astype("<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as opened:
        opened.setnchannels(1 if pcm.ndim == 1 else pcm.shape[1])
        opened.setsampwidth(2)
        opened.setframerate(sample_rate_hz)
        opened.writeframes(pcm.tobytes())
    return out.getvalue()


def _check_frames(count: int) -> None:
    if count > MAX_FRAMES:
        raise InvalidInputError(f"the video has {count} frames, at most {MAX_FRAMES} are taken")


def _check_pixels(count: int, what: str) -> None:
    if count > MAX_PIXELS:
        raise InvalidInputError(f"the {what} has {count} pixels, at most {MAX_PIXELS} are taken")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("Pillow", "media") from error
    return Image


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, its library is not
        raise MissingExtraError("soundfile", "audio") from error
    return soundfile


def _open(data: bytes, formats: tuple[str, ...], what: str) -> Any:
    pillow = _pillow()
    try:
        return pillow.open(io.BytesIO(data), formats=formats)
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        raise InvalidInputError(f"the {what} has too many pixels, at most {MAX_PIXELS} are taken") from error
    # Pillow's parsers raise nearly anything on hostile bytes.
    except Exception as error:
        raise InvalidInputError(f"cannot read the {what}; it must be one of {', '.join(formats)}") from error


def _pixels(opened: Any, what: str) -> NDArray[np.unsignedinteger[Any]]:
    import numpy as np

    try:
        if opened.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip rather than scale
            return np.asarray(opened).astype(np.uint16)
        return np.asarray(opened.convert("L" if opened.mode in ("1", "L") else "RGB"))
    except Exception as error:  # truncated or hostile data, see _open
        raise InvalidInputError(f"cannot decode the {what}: the file is damaged") from error
