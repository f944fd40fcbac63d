"""Grey images of 16 bits and mattes of floats, against their definitions in NumPy and against scikit-image."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import average_precision_score, roc_auc_score

from echelon.adapters import Image, InvalidInputError, Kind, Mask, Part, Tensor
from echelon.scorer.metrics.metric import InvalidAnswer
from echelon.scorer.metrics.registry import metric

DEPTHS = {"uint8": 255, "uint16": 65_535, "float16": 1, "float32": 1, "float64": 1}


def score(name: str, prediction: Part, reference: Part) -> float:
    of = metric(name, worst=1e9)
    return of.finish([of.sample(prediction, [reference])])


def png(pixels: np.ndarray) -> Image:
    out = io.BytesIO()
    PIL.Image.fromarray(pixels).save(out, "PNG")
    return Image(out.getvalue())


def part_of(matte: np.ndarray, *, as_tensor: bool) -> Part:
    return Tensor.from_array(matte) if as_tensor or matte.dtype.kind == "f" else png(matte)


def in_depth(fractions: np.ndarray, data_type: str) -> np.ndarray:
    peak = DEPTHS[data_type]
    return (np.rint(fractions * peak) if peak > 1 else fractions).astype(data_type)


@given(st.sampled_from([*DEPTHS]), st.sampled_from([*DEPTHS]), st.booleans(), st.integers(0, 2**32 - 1))
def test_mattes_of_every_depth_are_compared_as_they_are(one: str, other: str, as_tensor: bool, seed: int) -> None:
    draw = np.random.default_rng(seed)
    given = in_depth(draw.random((7, 9)) ** draw.integers(1, 9), one)
    wanted = in_depth(draw.random((7, 9)) ** draw.integers(1, 9), other)
    differences = given.astype(np.float64) / DEPTHS[one] - wanted.astype(np.float64) / DEPTHS[other]
    parts = part_of(given, as_tensor=as_tensor), part_of(wanted, as_tensor=as_tensor)
    assert score("sad", *parts) == pytest.approx(np.abs(differences).sum() / 1000, rel=1e-9, abs=1e-12)
    assert score("mse", *parts) == pytest.approx(1000 * np.mean(differences**2), rel=1e-9, abs=1e-12)


def test_what_8_bits_cannot_tell_apart_counts() -> None:
    given, wanted = np.full((100, 100), 257, np.uint16), np.full((100, 100), 300, np.uint16)
    assert score("sad", png(given), png(wanted)) == pytest.approx(10_000 * 43 / 65_535 / 1000, rel=1e-12)
    assert score("psnr", png(given), png(wanted)) == pytest.approx(20 * np.log10(65_535 / 43), rel=1e-12)


@pytest.mark.parametrize("name", ["sad", "mse"])
@pytest.mark.parametrize(
    "values", [np.array([[0.0, 1.5]]), np.array([[-0.1, 0.5]]), np.array([[np.nan, 0.5]]), np.array([[0, 255]])]
)
def test_a_matte_out_of_range_is_invalid(name: str, values: np.ndarray) -> None:
    assert metric(name, worst=1).takes(Kind.TENSOR)
    with pytest.raises(InvalidAnswer, match="numbers from 0 to 1"):
        score(name, Tensor.from_array(values), Tensor.from_array(np.array([[0.0, 1.0]])))


def deep_colours() -> Image:
    """A PNG of one pixel with 16 bits a channel, which Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0" + struct.pack(">3H", 300, 300, 300))
    return Image(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b""))


def test_a_matte_whose_bits_would_be_lost_is_refused() -> None:
    with pytest.raises(InvalidAnswer, match="save the matte in grey"):
        score("sad", deep_colours(), png(np.zeros((1, 1), np.uint16)))


def pair(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    wanted = draw.integers(0, 65_536, shape)
    given = np.clip(wanted + draw.integers(-9000, 9000, shape), 0, 65_535)
    return given.astype(np.uint16), wanted.astype(np.uint16)


def test_grey_images_of_16_bits_compare_as_in_scikit_image() -> None:
    given, wanted = pair((40, 50))
    ratio = peak_signal_noise_ratio(wanted, given, data_range=65_535)  # type: ignore[no-untyped-call]  # untyped package
    assert score("psnr", png(given), png(wanted)) == pytest.approx(ratio, abs=1e-9)
    similarity = structural_similarity(  # type: ignore[no-untyped-call]  # untyped package
        wanted.astype(np.float64),
        given.astype(np.float64),
        gaussian_weights=True,
        use_sample_covariance=False,
        data_range=65_535,
    )
    assert score("ssim", png(given), png(wanted)) == pytest.approx(similarity, abs=1e-9)
    root = np.sqrt(np.mean((given.astype(np.float64) - wanted) ** 2)) * 255 / 65_535
    assert score("rmse_image", png(given), png(wanted)) == pytest.approx(root, rel=1e-9)


@pytest.mark.parametrize(("name", "oracle"), [("auc", roc_auc_score), ("ap_anomaly", average_precision_score)])
def test_a_grey_image_of_16_bits_is_a_score_map_of_16_bits(name: str, oracle: object) -> None:
    given, wanted = pair((30, 40))
    # Apart by less than 8 bits can tell.
    levels, there = given // 300 + 1000, wanted > 40_000
    expected = oracle(there.ravel(), levels.ravel())  # type: ignore[operator]  # functions of scikit-learn
    assert score(name, png(levels), Mask.from_array(there.astype(np.uint8))) == pytest.approx(expected, abs=1e-9)


def test_a_mask_of_16_bits_has_its_values_or_is_refused() -> None:
    values = np.array([[0, 1, 2], [200, 255, 7]], np.uint16)
    assert Mask(2, 3, png(values).data).array().tolist() == values.tolist()
    with pytest.raises(InvalidInputError, match="the value 1000; the values of a mask go from 0 to 255"):
        Mask(2, 3, png(values + 745).data).array()
