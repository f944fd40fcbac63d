"""Sigmas and levels, by hand-computed cases, published figures and properties."""

from dataclasses import replace
from math import inf, isfinite, nan
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.adapters import Composition, Kind
from echelon.scorer.errors import InvalidSuiteError, UnknownNameError
from echelon.scorer.levels import gate_won, level, sigma
from echelon.scorer.metrics.registry import BUILT_IN, metric
from echelon.scorer.outcomes import State
from echelon.scorer.results import LevelResult, Sota, TaskResult
from echelon.scorer.suites.suite import Modality, Paradigm, Task

C, G, L = Paradigm.COMPREHENSION, Paradigm.GENERATION, Paradigm.LANGUAGE
IMAGE, AUDIO, LANGUAGE = Modality.IMAGE, Modality.AUDIO, Modality.LANGUAGE


def result(
    value: float,
    sota: float | None,
    paradigm: Paradigm = C,
    modality: Modality = IMAGE,
    *,
    skill: str = "",
    higher_is_better: bool = True,
    sigma: float | None = None,
    chance: float = 0.0,
    state: State = State.ANSWERED,
) -> TaskResult:
    """A task with one sample, scored on the 0-100 scale unless `sigma` says otherwise."""
    skill = skill or f"{modality} {paradigm}"
    ended = state is not State.UNAVAILABLE and state is not State.UNSUPPORTED
    sigmas = dict.fromkeys(("2024", "2025"), value if sigma is None else sigma)
    return TaskResult(
        task=Task(
            id=f"{skill} {value} {sota}".replace(" ", "-"),
            title="",
            modality=modality,
            paradigm=paradigm,
            skill=skill,
            instruction="",
            output=(Kind.TEXT,),
            extractor="text",
            metric="accuracy",
            chance=chance,
        ),
        metric_id="accuracy@1",
        higher_is_better=higher_is_better,
        unit="fraction",
        sample_count=1,
        counts={state: 1},
        score=value if ended else None,
        sota=None if sota is None else Sota(sota, "a test"),
        sigmas=sigmas if ended else {},
        sota_sigmas={},
        above_chance=ended and (value > chance if higher_is_better else value < chance),
        won=ended and sota is not None and gate_won(value, sota, higher_is_better),
    )


def of(edition: str, *tasks: TaskResult, composition: Composition = Composition.SINGLE) -> LevelResult:
    return level(edition, tasks, composition, "test@0000")  # type: ignore[arg-type]  # both are literals


def test_2025_gives_both_sides_and_then_all_modalities_equal_weight() -> None:
    found = of(
        "2025",
        result(80, 70),
        result(40, 70),
        result(60, 50, G),
        result(50, 40, modality=AUDIO),
        result(30, 40, G, AUDIO),
        result(90, 80, L, LANGUAGE),
        result(10, 80, L, LANGUAGE),
    )
    # Image: C (80 + 40) / 2, G 60, gated 40 and 60. Audio: C 50, G 30, gated 50 and 0.
    assert found.by_modality == {"image": (60, 50, 48), "audio": (40, 25, 0)}
    assert (found.s2, found.s3, found.s4) == (50, 37.5, 24)
    assert found.s5 == pytest.approx(24 * 45 / 100)
    assert (found.level, found.notes) == (5, ())


def test_2024_pools_all_tasks_of_both_sides() -> None:
    found = of("2024", result(80, 70), result(40, 70), result(60, 50, G), result(50, 40, modality=AUDIO))
    assert (found.s2, found.s3) == (57.5, 47.5)
    # Comprehension: (80 + 50) / 3; generation: 60.
    assert found.s4 == pytest.approx(2 * (130 / 3) * 60 / (130 / 3 + 60))
    assert (found.s5, found.level, found.by_modality) == (0, 4, {})


@pytest.mark.parametrize("edition", ["2024", "2025"])
def test_a_modality_that_the_model_does_not_support_counts_0(edition: str) -> None:
    alone = of(edition, result(80, 70), result(60, 50, G))
    missing = (result(0, 50, side, AUDIO, state=State.UNSUPPORTED) for side in (C, G))
    with_audio = of(edition, result(80, 70), result(60, 50, G), *missing)
    assert with_audio.s2 == alone.s2 / 2
    assert with_audio.s3 == alone.s3 / 2


def test_the_gate_compares_raw_scores_not_sigmas() -> None:
    saturated = result(0.51, 0.228, G, higher_is_better=False, sigma=100.0, chance=50.0)
    assert of("2025", saturated, result(80, 90)).s3 == 0


def test_a_tie_passes_the_gate_in_either_direction() -> None:
    assert gate_won(0.5, 0.5, True)
    assert gate_won(0.5, 0.5, False)
    assert not gate_won(0.4, 0.5, True)
    assert not gate_won(0.6, 0.5, False)


def test_a_task_without_a_sota_counts_at_level_2_only() -> None:
    found = of("2025", result(80, None), result(60, None, G))
    assert (found.s2, found.s3, found.level) == (70, 0, 2)
    assert "no task has a sota, so none can be won" in found.notes
    some = of("2025", result(80, None), result(60, 50, G))
    assert any("1 task is without a sota and cannot be won" in note for note in some.notes)


def test_an_incomplete_task_counts_0_and_is_named() -> None:
    found = of("2025", result(80, 70), result(60, 50, G), result(90, 10, skill="reading", state=State.UNAVAILABLE))
    assert found.s2 == (80 / 2 + 60) / 2
    assert "1 task is incomplete and 0 until the run is resumed: reading-90-10" in found.notes


@pytest.mark.parametrize(
    ("tasks", "reached", "note"),
    [
        ([], 0, "level 1 needs a task above chance"),
        ([result(5, 1, chance=10), result(5, 1, G, chance=10)], 0, "level 1 needs a task above chance"),
        ([result(80, 70)], 1, "level 2 needs tasks of two skills"),
        ([result(80, 70, skill="s"), result(70, 60, G, skill="s")], 1, "level 2 needs tasks of two skills"),
        ([result(80, 70, L, LANGUAGE, skill="a"), result(80, 70, L, LANGUAGE, skill="b")], 1, "besides language"),
        ([result(80, 90), result(70, 90, G)], 2, "level 3 needs"),
        ([result(80, 70), result(70, 90, G)], 3, "level 4 needs"),
        ([result(80, 70), result(70, 60, G)], 4, "level 5 needs"),
        ([result(80, 70), result(70, 60, G), result(70, 60, L, LANGUAGE)], 5, None),
    ],
)
@pytest.mark.parametrize("edition", ["2024", "2025"])
def test_the_level_is_the_highest_with_a_score_and_the_notes_say_what_the_next_needs(
    edition: str, tasks: list[TaskResult], reached: int, note: str | None
) -> None:
    found = of(edition, *tasks)
    assert found.level == reached
    assert any(note in said for said in found.notes) if note else not found.notes


def test_synergy_in_2025_has_to_happen_within_a_modality() -> None:
    tasks = [result(80, 70), result(50, 60, G), result(20, 70, modality=AUDIO), result(80, 60, G, AUDIO)]
    assert of("2024", *tasks).level == 4
    assert of("2025", *tasks).level == 3


@pytest.mark.parametrize("composition", [Composition.DISPATCHER, Composition.AGENT])
def test_a_dispatcher_or_agent_shows_its_gated_scores_and_stays_at_level_2(composition: Composition) -> None:
    tasks = (result(80, 70), result(70, 60, G), result(70, 60, L, LANGUAGE))
    found = of("2025", *tasks, composition=composition)
    assert (found.level, found.synergy_counts) == (2, False)
    assert found.s5 == of("2025", *tasks).s5 > 0
    assert f"{composition} is not synergy" in found.notes[0]


@pytest.mark.parametrize("composition", [Composition.SINGLE, Composition.ENSEMBLE, Composition.UNVERIFIED])
def test_other_compositions_count(composition: Composition) -> None:
    found = of("2025", result(80, 70), result(70, 60, G), composition=composition)
    assert (found.level, found.synergy_counts) == (4, True)


ANY_RESULT = st.builds(
    result,
    st.floats(0, 100),
    st.floats(0, 100) | st.none(),
    st.sampled_from([C, G]),
    st.sampled_from([IMAGE, Modality.VIDEO, AUDIO, Modality.THREE_D]),
    state=st.sampled_from([State.ANSWERED, State.ANSWERED, State.ANSWERED, State.UNSUPPORTED, State.UNAVAILABLE]),
) | st.builds(result, st.floats(0, 100), st.floats(0, 100), st.just(L), st.just(LANGUAGE))


@given(st.lists(ANY_RESULT, max_size=12))
def test_each_score_of_2025_bounds_the_next(tasks: list[TaskResult]) -> None:
    found = of("2025", *tasks)
    assert 100 >= found.s2 >= found.s3 >= found.s4 >= found.s5 >= 0


@given(st.lists(ANY_RESULT, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_the_tasks_does_not_change_a_score(tasks: list[TaskResult], random: Random) -> None:
    shuffled = random.sample(tasks, len(tasks))
    for edition in ("2024", "2025"):
        one, other = (replace(of(edition, *order), notes=()) for order in (tasks, shuffled))
        assert one == other


@pytest.mark.parametrize(
    ("metric", "score", "expected"),
    [
        ("mae", 10, 98.66142981514305),
        ("mae", 50, 46.21171572600098),
        ("rms", 36.4, 59.59308339762435),
        ("mse", 28.9, 8.629005719179395),
        ("rmse", 3.29, 64.10053421895745),
        ("abs_rel", 0.1, 46.21171572600098),
        ("epe", 1, 46.21171572600098),
        ("fid", 18.7, 58.39588420455573),
        ("fid", 102.46, 12.139714543603475),
        ("fvd", 71.27, 60.535542663702266),
        ("fad", 11.52, 40.868187708270476),
        ("psnr", 34.56, 93.88191411563523),
        ("psnr_video", 34.56, 93.88191411563523),
        ("sad", 18.1, 26.94244260017349),
        ("rte", 0.55, 42.562819723499466),
        ("chamfer", 0.217, 98.02591895760855),
        ("mcd", 4.12, 54.186787209599665),
        ("wer", 0.056, 94.4),
        ("wer_characters", 0.056, 94.4),
        ("wer_mean", 0.056, 94.4),
        ("cer", 0.056, 94.4),
        ("cer_speech", 0.056, 94.4),
        ("wer_speech", 0.056, 94.4),
        ("cider_speech", 0.514, 51.4),
        ("pcc_read", -0.1, 0),
        ("ms_ssim", 0.542, 77.1),
        ("mos", 3.82, 70.5),
        ("accuracy", 0.745, 74.5),
    ],
)
def test_sigmas_of_2025_agree_with_the_published_maps(metric: str, score: float, expected: float) -> None:
    assert sigma(metric, score, "2025") == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("edition", ["2024", "2025"])
@pytest.mark.parametrize(
    ("metric", "perfect", "poor"),
    [("mae", 0, 1e9), ("chamfer", 0, 1e9), ("psnr", 100, 0), ("psnr_audio", 100, 0), ("wer", 0, 3), ("miou", 1, 0)],
)
def test_a_perfect_score_is_100_and_a_poor_one_near_the_editions_bottom(
    edition: str, metric: str, perfect: float, poor: float
) -> None:
    bottom = 50 if edition == "2024" and metric in ("mae", "psnr", "psnr_audio") else 0
    assert sigma(metric, perfect, edition) == 100
    assert sigma(metric, poor, edition) == pytest.approx(bottom, abs=1e-5)


def test_2024_takes_the_maps_of_2025_where_it_has_none() -> None:
    assert sigma("chamfer", 0.217, "2024") == sigma("chamfer", 0.217, "2025")
    assert sigma("mae", 10, "2024") > sigma("mae", 10, "2025")


@pytest.mark.parametrize(("metric", "score"), [("accuracy", 74.5), ("accuracy", nan), ("mae", nan), ("mae", inf)])
def test_a_score_that_cannot_be_mapped_is_refused(metric: str, score: float) -> None:
    with pytest.raises(InvalidSuiteError, match=metric):
        sigma(metric, score, "2025")


@pytest.mark.parametrize("edition", ["2024", "2025"])
def test_every_built_in_metric_has_a_map_or_is_a_fraction(edition: str) -> None:
    for name in BUILT_IN:
        worst, best = metric(name, worst=1.0, labels=("leg", "seat")).range
        some = worst if isfinite(worst) else best
        assert 0 <= sigma(name, some, edition) <= 100
        if best > 1:
            assert 0 <= sigma(name, 7.5, edition) <= 100


def test_an_unknown_edition_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(UnknownNameError, match="2025"):
        sigma("mae", 1, "2026")


# (side, metric, sota, Emu2-37B, mini-Gemini-7B) of the 2024 edition, in its units; 0 is unsupported.
TABLE_2024 = [
    (C, "mae", 14.49, 25.2, 0.0),
    (C, "mae", 6.39, 58.1, 0.0),
    (C, "ANLS", 94.79, 90.44, 79.39),
    (C, "ACC", 86.3, 40.0, 38.67),
    (C, "Recall@1", 81.33, 0.0, 0.0),
    (C, "ROUGE-L", 62.75, 46.3, 23.68),
    (C, "ACC", 87.3, 0.0, 0.0),
    (C, "mse", 0.29, 0.0, 0.0),
    (C, "AP", 43.9, 0.0, 0.0),
    (C, "AP", 55.56, 0.0, 0.0),
    (C, "AP@0.1", 90.9, 0.0, 0.0),
    (C, "AP@0.1", 85.97, 0.0, 0.0),
    (C, "AP@0.1", 84.76, 0.0, 0.0),
    (C, "mIoU", 51.8, 0.0, 0.0),
    (C, "AP", 45.68, 0.0, 0.0),
    (C, "AP", 35.95, 0.0, 0.0),
    (C, "PQ", 67.33, 0.0, 0.0),
    (C, "PQ", 48.34, 0.0, 0.0),
    (C, "AUC", 97.5, 0.0, 0.0),
    (C, "ACC", 44.67, 74.0, 69.67),
    (C, "ACC", 70.67, 78.33, 77.33),
    (C, "ACC", 14.67, 25.33, 38.33),
    (C, "ACC", 36.67, 55.33, 56.0),
    (C, "ANLS", 60.75, 38.93, 55.87),
    (G, "fid", 149.861, 112.33, 131.6),
    (G, "fid", 126.694, 224.63, 133.09),
    (G, "fid", 280.924, 146.89, 148.07),
    (G, "fid", 121.544, 71.32, 54.17),
    (G, "fid", 312.12, 406.01, 350.76),
    (G, "fid", 274.39, 171.87, 232.41),
    (G, "fid", 141.34, 269.25, 187.08),
    (G, "fid", 131.79, 381.31, 0.0),
    (G, "psnr", 35.29, 28.0, 0.0),
    (G, "psnr", 32.74, 28.1, 0.0),
    (G, "psnr", 41.01, 28.68, 0.0),
    (G, "psnr", 35.09, 28.13, 0.0),
    (G, "fid", 40.38, 111.67, 0.0),
    (G, "fid", 12.69, 47.86, 0.0),
    (G, "fid", 16.91, 64.49, 0.0),
    (G, "lpips", 33.91, 41.61, 37.58),
    (G, "fid", 30.69, 166.07, 0.0),
    (G, "fid", 48.28, 312.1, 0.0),
    (G, "fid", 87.16, 226.01, 0.0),
    (G, "psnr", 25.44, 27.91, 0.0),
    (G, "psnr", 39.8, 28.16, 0.0),
    (G, "psnr", 33.48, 27.97, 0.0),
    (G, "psnr", 32.6, 27.93, 0.0),
]


def published(side: Paradigm, metric: str, sota: float, score: float) -> TaskResult:
    if not score:
        return result(0, sota, side, state=State.UNSUPPORTED)
    percent = metric[0].isupper()
    value = score if percent else sigma(metric, score, "2024")
    return result(score, sota, side, higher_is_better=percent or metric == "psnr", sigma=value, chance=1e9)


@pytest.mark.parametrize(("model", "expected"), [(0, (49.53, 12.79, 12.09)), (1, (21.23, 11.12, 11.04))])
def test_2024_reproduces_the_published_scores(model: int, expected: tuple[float, float, float]) -> None:
    tasks = [published(side, metric, sota, scores[model]) for side, metric, sota, *scores in TABLE_2024]
    found = of("2024", *tasks)
    assert (found.s2, found.s3, found.s4) == pytest.approx(expected, abs=0.006)
