"""Scores of what is there and what is not, ranked as scikit-learn ranks them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from echelon.adapters import Image, Mask, Number, Part, Tensor
from echelon.scorer.metrics.metric import InvalidAnswer
from echelon.scorer.metrics.registry import metric

ORACLES = {"ap_anomaly": average_precision_score, "auc": roc_auc_score}
# Of any size from 1e-12 to 1e12, denormal, or many times the same.
SCORES = st.one_of(
    st.builds(
        lambda digits, power, sign: sign * digits * 10.0**power,
        st.floats(1, 10),
        st.integers(-12, 12),
        st.sampled_from((-1, 1)),
    ),
    st.builds(lambda steps: steps * 5e-324, st.integers(-9, 9)),
    st.sampled_from([-1e12, -1.0, -1e-12, -0.0, 0.0, 1e-12, 0.5, 0.5 + 2.0**-53, 1.0, 1e12]),
)


def score(name: str, predictions: Sequence[Part], references: Sequence[Part]) -> float:
    of = metric(name)
    pairs = zip(predictions, references, strict=True)
    return of.finish([of.sample(prediction, [reference]) for prediction, reference in pairs])


def tensor(values: object) -> Tensor:
    return Tensor.from_array(np.array(values))


def random() -> np.random.Generator:
    return np.random.default_rng(11)


def score_maps() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Maps with many ties, and what is there."""
    draw = random()
    there = [draw.random((9, 8)) < 0.2 for _ in range(5)]
    maps = [np.clip(draw.normal(20_000 + 9000 * truth, 9000), 0, 65_535) // 500 * 500 for truth in there]
    return [each.astype(np.uint16) for each in maps], there


@pytest.mark.parametrize("name", ORACLES)
def test_score_maps_with_many_ties_are_ranked_as_by_scikit_learn(name: str) -> None:
    maps, there = score_maps()
    found = score(name, [tensor(each) for each in maps], [Mask.from_array(each.astype(int)) for each in there])
    expected = ORACLES[name](np.concatenate(there, axis=None), np.concatenate(maps, axis=None))
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("data_type", ["float64", "float32", "int32", "numbers"])
@given(drawn=st.lists(st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=30), min_size=1, max_size=4))
def test_scores_of_any_range_are_ranked_as_by_scikit_learn(
    name: str, data_type: str, drawn: list[list[tuple[float, bool]]]
) -> None:
    there = [np.array([[truth for _, truth in image]]) for image in drawn]
    there[0][0, 0] = True
    assume(not np.concatenate(there, axis=None).all())
    kind = np.float64 if data_type == "numbers" else np.dtype(data_type)
    bounds = np.iinfo(kind) if np.dtype(kind).kind == "i" else np.finfo(kind)
    maps = [np.clip([[value for value, _ in image]], bounds.min, bounds.max).astype(kind) for image in drawn]
    truth, scores = np.concatenate(there, axis=None), np.concatenate(maps, axis=None)
    if data_type == "numbers":
        found = score(name, [Number(float(each)) for each in scores], [Number(float(each)) for each in truth])
    else:
        found = score(name, [tensor(each) for each in maps], [Mask.from_array(each.astype(int)) for each in there])
    assert found == pytest.approx(ORACLES[name](truth, scores), abs=1e-9)


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("scale", [1e-12, 1e-5, 1.0, 1e5, 1e12])
def test_the_scale_of_scores_does_not_matter(name: str, scale: float) -> None:
    draw = random()
    there = draw.random((3, 40, 50)) < 0.1
    maps = scale * (draw.normal(size=there.shape) + 1.3 * there)
    found = score(name, [tensor(each) for each in maps], [Mask.from_array(each.astype(int)) for each in there])
    assert found == pytest.approx(ORACLES[name](there.ravel(), maps.ravel()), abs=1e-9)
    assert 0.3 < found < 0.95


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("data_type", ["uint8", "uint16"])
def test_unsigned_integers_are_fractions_as_in_images(name: str, data_type: str) -> None:
    draw, peak = random(), np.iinfo(data_type).max
    there = draw.random((2, 30, 40)) < 0.3
    maps = np.clip(draw.normal(0.4 + 0.2 * there, 0.2), 0, 1)
    steps = np.rint(maps * peak).astype(data_type)
    masks = [Mask.from_array(each.astype(int)) for each in there]
    parts = [tensor(steps[0]), tensor(steps[1] / peak)]
    assert score(name, parts, masks) == pytest.approx(ORACLES[name](there.ravel(), steps.ravel()), abs=1e-9)


def test_a_grey_image_is_a_score_map_and_a_white_one_its_truth() -> None:
    draw = random()
    wanted = draw.integers(0, 256, (20, 30)).astype(np.uint8)
    shown = np.clip(wanted + draw.integers(-60, 60, wanted.shape), 0, 255).astype(np.uint8)
    found = score("auc", [Image.from_array(shown)], [Image.from_array(wanted)])
    assert found == pytest.approx(roc_auc_score(wanted.ravel() > 127, shown.ravel()))


@pytest.mark.parametrize("name", ["ap_anomaly", "auc"])
def test_a_failed_score_map_is_wrong_everywhere(name: str) -> None:
    of = metric(name)
    maps, there = score_maps()
    masks = [Mask.from_array(each.astype(int)) for each in there]
    rows = [of.sample(tensor(each), [mask]) for each, mask in zip(maps, masks, strict=True)]
    failed = [of.worst([mask]) for mask in masks]
    assert of.finish(rows) > of.finish([*rows[:-1], failed[-1]]) > of.finish(failed) == 0
    assert len({of.finish([rows[at] for at in random().permutation(5)]) for _ in range(10)}) == 1
    assert np.isnan(of.finish([of.sample(Number(0.5), [Number(0)])]))


@pytest.mark.parametrize(
    ("prediction", "reason"),
    [
        (tensor([[np.inf, 0.5]]), "scores must be finite"),
        (tensor([[np.nan, 0.5]]), "scores must be finite"),
        (tensor([[2**53 + 1, 0]]), "beyond 2.53 cannot be ranked exactly"),
        (tensor([0.5, 0.5]), r"\(2,\), \(1, 2\) is wanted"),
    ],
)
def test_scores_that_cannot_be_are_invalid(prediction: Part, reason: str) -> None:
    with pytest.raises(InvalidAnswer, match=reason):
        score("auc", [prediction], [Mask.from_array(np.array([[0, 1]]))])
