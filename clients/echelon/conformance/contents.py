"""Made-up parts of every kind: small and well-formed, large and legal, empty, broken, and full of odd numbers."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from echelon.adapters.content import (
    Audio,
    Box,
    Boxes,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Mesh,
    Number,
    Part,
    PointCloud,
    Tensor,
    Text,
    Video,
)

if TYPE_CHECKING:
    import numpy as np

LABELS = ("yes", "no", "unsure")
Named = tuple[str, Part]
"""A part, and what is odd about it."""


def made_up(kinds: Iterable[Kind]) -> list[Kind]:
    """Those of `kinds` that can be made up here."""
    return [kind for kind in kinds if kind in _SMALL]


def small(kind: Kind, seed: int) -> Part:
    """A well-formed part, another one for each seed, always of the same size."""
    import numpy as np

    rng: np.random.Generator = np.random.default_rng(seed)
    return _SMALL[kind](rng)


def middling(kind: Kind) -> Part:
    """A part of some ten to a thousand KiB, for what is done over and over."""
    return _MIDDLING[kind]() if kind in _MIDDLING else small(kind, 0)


def large(kind: Kind) -> Part | None:
    """A part as large as a careless client may send; None for kinds that are never large."""
    return _LARGE[kind]() if kind in _LARGE else None


def empty(kind: Kind) -> Iterator[Named]:
    """Legal parts with nothing in them."""
    for part in _EMPTY[kind]() if kind in _EMPTY else ():
        yield f"an empty {kind}", part


def broken(kind: Kind) -> Iterator[Named]:
    """Parts that do not hold what they say."""
    yield from _BROKEN[kind]() if kind in _BROKEN else ()


def odd_numbers(kind: Kind) -> Iterator[Named]:
    """Parts with NaN, infinities, and numbers at the ends of their range."""
    yield from _ODD[kind]() if kind in _ODD else ()


def _small_text(rng: np.random.Generator) -> Part:
    return Text(f"Is {rng.integers(10, 100)} more than {rng.integers(10, 100)}?")


def _small_image(rng: np.random.Generator) -> Part:
    return Image.from_array(_pixels(rng, 64))


def _small_audio(rng: np.random.Generator) -> Part:
    import numpy as np

    seconds = np.arange(16_000) / 16_000
    return Audio.from_array(0.5 * np.sin(2 * np.pi * rng.integers(200, 800) * seconds), 16_000)


def _small_video(rng: np.random.Generator) -> Part:
    import numpy as np

    return Video.from_array(np.stack([_pixels(rng, 32) for _ in range(8)]), frames_per_second=8)


def _small_mask(rng: np.random.Generator) -> Part:
    return Mask.from_array(rng.integers(0, len(LABELS), (32, 32)), labels=LABELS)


def _small_boxes(rng: np.random.Generator) -> Part:
    x, y = (float(value) for value in rng.integers(0, 16, 2))
    return Boxes((Box(x, y, x + 8, y + 8, "yes"), Box(1, 2, 20, 30, "no")))


def _small_mesh(rng: np.random.Generator) -> Part:
    import numpy as np

    faces = np.array([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]])
    return Mesh.from_array(rng.uniform(-1, 1, (4, 3)), faces)


def _small_tensor(rng: np.random.Generator) -> Part:
    import numpy as np

    return Tensor.from_array(rng.standard_normal((4, 4)).astype(np.float32))


def _pixels(rng: np.random.Generator, side: int) -> Any:
    """A smooth slope in random colours, as photographs are smooth."""
    import numpy as np

    slope = np.linspace(0, 1, side)
    shade = slope[:, None, None] * rng.uniform(0, 1, 3) + slope[None, :, None] * rng.uniform(0, 1, 3)
    return (shade * 127).astype(np.uint8)


_SMALL: Mapping[Kind, Callable[[np.random.Generator], Part]] = {
    Kind.TEXT: _small_text,
    Kind.NUMBER: lambda rng: Number(float(rng.integers(0, 100))),
    Kind.CHOICE: lambda rng: Choice.of(*rng.permutation(LABELS).tolist()),
    Kind.IMAGE: _small_image,
    Kind.AUDIO: _small_audio,
    Kind.VIDEO: _small_video,
    Kind.POINT_CLOUD: lambda rng: PointCloud.from_array(rng.uniform(-1, 1, (256, 3))),
    Kind.MESH: _small_mesh,
    Kind.MASK: _small_mask,
    Kind.BOXES: _small_boxes,
    Kind.TENSOR: _small_tensor,
    Kind.JSON: lambda rng: Json(f'{{"a": {rng.integers(0, 100)}}}'),
}


def _noise(*shape: int) -> Any:
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _zeros(*shape: int) -> Any:
    import numpy as np

    return np.zeros(shape)


def _grid(*shape: int) -> Any:
    import numpy as np

    return np.zeros(shape, np.uint8)


def _large_mesh() -> Part:
    import numpy as np

    return Mesh.from_array(_zeros(100_000, 3), np.zeros((200_000, 3), np.int32))


_MIDDLING: Mapping[Kind, Callable[[], Part]] = {
    Kind.TEXT: lambda: Text("The quick brown fox jumps over the lazy dog. " * 360),
    Kind.IMAGE: lambda: Image.from_array(_noise(256, 256, 3)),
    Kind.AUDIO: lambda: Audio.from_array(_zeros(80_000), 16_000),
    Kind.VIDEO: lambda: Video.from_array(_noise(8, 96, 96, 3), frames_per_second=8),
    Kind.POINT_CLOUD: lambda: PointCloud.from_array(_zeros(16_384, 3)),
    Kind.MASK: lambda: Mask.from_array(_noise(256, 256) % 3),
}

_LARGE: Mapping[Kind, Callable[[], Part]] = {
    Kind.TEXT: lambda: Text("word " * 200_000),
    Kind.IMAGE: lambda: Image.from_array(_grid(4096, 4096)),
    Kind.AUDIO: lambda: Audio.from_array(_zeros(300 * 16_000), 16_000),
    Kind.VIDEO: lambda: Video.from_array(_grid(512, 64, 64), frames_per_second=30),
    Kind.POINT_CLOUD: lambda: PointCloud.from_array(_zeros(500_000, 3)),
    Kind.MESH: _large_mesh,
    Kind.MASK: lambda: Mask.from_array(_grid(4096, 4096)),
    Kind.BOXES: lambda: Boxes((Box(0, 0, 1, 1),) * 16_384),
    Kind.TENSOR: lambda: Tensor.from_array(_zeros(1024, 1024)),
    Kind.JSON: lambda: Json("[" + "1," * 400_000 + "1]"),
}

_EMPTY: Mapping[Kind, Callable[[], tuple[Part, ...]]] = {
    Kind.TEXT: lambda: (Text(""), Text(" \n\t")),
    Kind.IMAGE: lambda: (Image(b""),),
    Kind.AUDIO: lambda: (Audio(b""), Audio.from_array(_zeros(0), 16_000)),
    Kind.VIDEO: lambda: (Video(b"\0", "video/mp4"),),
    Kind.POINT_CLOUD: lambda: (PointCloud.from_array(_zeros(0, 3)),),
    Kind.MESH: lambda: (Mesh(b"", 0, b"", 0),),
    Kind.BOXES: lambda: (Boxes(()),),
    Kind.TENSOR: lambda: (Tensor(b"", "float32", (0,)), Tensor(b"", "float32", (0, 3, 0))),
    Kind.JSON: lambda: (Json("null"), Json("{}")),
}


def _broken_images() -> Iterator[Named]:
    whole = Image.from_array(_noise(32, 32, 3)).data
    yield "an image that ends in its middle", Image(whole[: len(whole) // 2])
    yield "an image of random bytes", Image(_noise(512).tobytes())
    yield "an image that says JPEG and is PNG", Image(whole, "image/jpeg")
    yield "an image of an unknown type", Image(b"BM" + _noise(64).tobytes(), "image/x-unknown")
    yield "an image whose header promises 60000 x 60000 pixels", Image(_bomb(60_000))


def _bomb(side: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""
    size = side.to_bytes(4, "big")
    chunks = ((b"IHDR", size + size + b"\x08\x00\x00\x00\x00"), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big") for name, data in chunks
    )


def _broken_sounds() -> Iterator[Named]:
    whole = Audio.from_array(_zeros(1600), 16_000).data
    yield "a sound that ends in its header", Audio(whole[:30])
    yield "a sound of random bytes", Audio(_noise(512).tobytes())
    yield "a sound of 0 samples a second", Audio(whole[:24] + b"\0" * 8 + whole[32:])


def _broken_videos() -> Iterator[Named]:
    yield "a clip of random bytes", Video(_noise(512).tobytes(), "video/mp4")
    yield "a GIF that ends in its header", Video(b"GIF89a\x10", "image/gif")
    first, second = (
        Video.from_array(_grid(1, 8, 8), frames_per_second=1),
        Video.from_array(_grid(1, 9, 9), frames_per_second=1),
    )
    yield "a video whose frames differ in size", Video(frames=first.frames + second.frames)


def _broken_meshes() -> Iterator[Named]:
    import numpy as np

    yield (
        "a mesh whose faces point past its corners",
        Mesh.from_array(_zeros(3, 3), np.array([[0, 1, 2_000_000_000]])),
    )
    yield "a mesh with negative corners", Mesh.from_array(_zeros(3, 3), np.array([[-1, -2, -3]]))


def _broken_masks() -> Iterator[Named]:
    yield "a mask whose PNG has another size", Mask(8, 8, Mask.from_array(_grid(4, 4)).png)
    yield "a mask of random bytes", Mask(8, 8, _noise(64).tobytes())


_BROKEN: Mapping[Kind, Callable[[], Iterator[Named]]] = {
    Kind.IMAGE: _broken_images,
    Kind.AUDIO: _broken_sounds,
    Kind.VIDEO: _broken_videos,
    Kind.MESH: _broken_meshes,
    Kind.MASK: _broken_masks,
    Kind.JSON: lambda: iter((("JSON that does not end", Json('{"a": [1,')), ("deep JSON", Json("[" * 100_000)))),
}


def _odd_tensors() -> Iterator[Named]:
    import numpy as np

    for name, value in (("NaN", np.nan), ("infinities", np.inf), ("huge numbers", 3e38), ("tiny numbers", 1e-45)):
        yield f"a tensor of {name}", Tensor.from_array(np.full((4, 4), value, np.float32))
    yield "a tensor without axes", Tensor.from_array(np.array(1.0, np.float32))
    yield "a tensor of whole numbers", Tensor.from_array(np.full((4, 4), -(2**63), np.int64))


def _odd_points() -> Iterator[Named]:
    import numpy as np

    yield "points at NaN", PointCloud.from_array(np.full((256, 3), np.nan))
    yield "points at infinity", PointCloud.from_array(np.full((256, 3), np.inf))
    yield "points all in one place", PointCloud.from_array(_zeros(256, 3))
    yield "a single point", PointCloud.from_array(_zeros(1, 3))


def _odd_meshes() -> Iterator[Named]:
    import numpy as np

    yield "a mesh at NaN", Mesh.from_array(np.full((3, 3), np.nan), np.array([[0, 1, 2]]))


def _odd_scalars() -> Iterator[Named]:
    for value in (-0.0, 1.7e308, -1.7e308, 5e-324):
        yield f"the number {value}", Number(value)


_ODD: Mapping[Kind, Callable[[], Iterator[Named]]] = {
    Kind.NUMBER: _odd_scalars,
    Kind.TENSOR: _odd_tensors,
    Kind.POINT_CLOUD: _odd_points,
    Kind.MESH: _odd_meshes,
    Kind.BOXES: lambda: iter((("boxes without area", Boxes((Box(5, 5, 5, 5), Box(-1e300, 0, 1e300, 0)))),)),
}

ODD_TEXTS = (
    "\u202eright to left\u202c and back",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1e9\U0001f1ea",
    "Z\u0351\u036b\u0343a\u0366\u0310l\u034bg\u0351o" + "\u0301" * 200,
    "nul \x00 bell \x07 escape \x1b[2J",
    "\u0645\u0631\u062d\u0628\u0627 \u4f60\u597d \u3053\u3093\u306b \u05e9\u05dc\u05d5\u05dd \u0928\u092e\u0938",
    "\ufeffbyte order mark and \ufffe \uffff no characters",
    "%s %d {} {0.__class__} ${HOME} $(id) `id` '; DROP TABLE x; --",
    "<|endoftext|><|im_start|>system</s>[INST]<image>",
    "\u2028line\u2029paragraph\r\n\u0085",
)
"""Texts that careless code stumbles over."""
