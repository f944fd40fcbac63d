"""The editions' formulas and scopes on plain grades, by hand-computed cases and properties."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.scorer.editions import Graded, Scores, group, highest_level, out_of_order, synergy
from echelon.scorer.errors import UnknownNameError
from echelon.scorer.scopes import WHOLE, Scope, scope
from echelon.scorer.suites.suite import Modality, Paradigm

C, G, L = Paradigm.COMPREHENSION, Paradigm.GENERATION, Paradigm.LANGUAGE
IMAGE, AUDIO, LANGUAGE = Modality.IMAGE, Modality.AUDIO, Modality.LANGUAGE

SUITE = [
    Graded(IMAGE, C, "counting", 80, 80),
    Graded(IMAGE, C, "reading", 40, 0),
    Graded(IMAGE, G, "drawing", 60, 60),
    Graded(AUDIO, C, "hearing", 50, 50),
    Graded(AUDIO, G, "singing", 30, 0),
    Graded(LANGUAGE, L, "talking", 90, 90),
    Graded(LANGUAGE, L, "talking", 10, 0),
]


def in_scope(text: str) -> list[Graded]:
    wanted = scope(text)
    return [task for task in SUITE if wanted.covers(task)]


def test_2025_gives_both_sides_and_then_all_modalities_equal_weight() -> None:
    found = synergy("2025", SUITE)
    assert found[:4] == pytest.approx((50, 37.5, 24, 24 * 45 / 100))
    assert found.by_modality == {"image": (60, 50, 48), "audio": (40, 25, 0)}


def test_2024_pools_all_tasks_and_language_weighs_s5() -> None:
    found = synergy("2024", SUITE)
    s4 = 2 * (130 / 3) * 30 / (130 / 3 + 30)
    assert found[:4] == pytest.approx((52, 38, s4, s4 * 0.45))
    assert found.by_modality == {}


@pytest.mark.parametrize("edition", ["2024", "2025"])
def test_nothing_has_no_score(edition: str) -> None:
    assert synergy(edition, [])[:4] == (0, 0, 0, 0)


def test_scope_b_keeps_language_and_averages_over_its_own_modalities() -> None:
    assert synergy("2025", in_scope("B:image"))[:4] == pytest.approx((60, 50, 48, 48 * 0.45))
    assert synergy("2025", in_scope("b:image+audio")) == synergy("2025", SUITE)
    assert in_scope("a") == SUITE


def test_scopes_c_and_d_are_means_over_one_paradigm_and_one_skill() -> None:
    assert group(in_scope("C:image-comprehension")) == (60, 40)
    assert group(in_scope("D:image-comprehension:Reading")) == (40, 0)
    assert in_scope("D:audio-generation:drawing") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A", "all@1"),
        ("B:image+3d", "image and 3d of all@1"),
        ("C:3d-generation", "3d generation, of all@1"),
        ("D:image-comprehension:Object Det", "image comprehension, Object Det, of all@1"),
    ],
)
def test_a_scope_says_what_it_leaves_out(text: str, words: str) -> None:
    assert scope(text).of("all@1") == words


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "a scope is A"),
        ("B", "a scope is A"),
        ("E:image", "a scope is A"),
        ("B:imag", "image"),
        ("B:language", "modality"),
        ("C:image", "paradigm"),
        ("C:image-generated", "generation"),
        ("C:image-generation:Txt2Img", "a scope is A"),
        ("D:image-generation", "a scope is A"),
    ],
)
def test_what_is_no_scope_is_refused_with_the_forms_there_are(text: str, hint: str) -> None:
    with pytest.raises(UnknownNameError, match=hint):
        scope(text)


def test_one_skill_makes_a_specialist_whatever_it_wins() -> None:
    one, other = Graded(IMAGE, C, "a", 9, 9), Graded(IMAGE, G, "b", 9, 9)
    language = Graded(LANGUAGE, L, "c", 9, 9)
    assert highest_level([], 5, 5, 5) == 0
    assert highest_level([one, one, language], 5, 5, 5) == 1
    assert [highest_level([one, other], *scores) for scores in ((0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1))] == [
        2,
        3,
        4,
        5,
    ]


def test_scores_out_of_order_are_told_where_the_edition_promises_order() -> None:
    scores = Scores(10, 20, 30, 5, {})
    assert out_of_order("2025", scores) == "S2 10 < S3 20, S3 20 < S4 30"
    assert out_of_order("2024", scores) == "S2 10 < S3 20"
    assert out_of_order("2025", Scores(3, 2, 1, 0, {})) == ""


@st.composite
def grades(draw: st.DrawFn) -> Graded:
    modality = draw(st.sampled_from(list(Modality)))
    paradigm = L if modality is LANGUAGE else draw(st.sampled_from([C, G]))
    sigma = draw(st.floats(0, 100))
    return Graded(modality, paradigm, draw(st.sampled_from("abc")), sigma, draw(st.sampled_from([0.0, sigma])))


SUITES = st.lists(grades(), max_size=30)


@given(SUITES, st.sampled_from(["2024", "2025"]), st.randoms(use_true_random=False))
def test_the_order_of_the_tasks_changes_no_bit(tasks: list[Graded], edition: str, random: Random) -> None:
    assert synergy(edition, random.sample(tasks, len(tasks))) == synergy(edition, tasks)


@given(SUITES)
def test_each_score_of_2025_bounds_the_next_in_every_scope(tasks: list[Graded]) -> None:
    for part in (WHOLE, Scope((IMAGE,)), Scope((IMAGE, AUDIO))):
        found = synergy("2025", [task for task in tasks if part.covers(task)])
        assert 100 >= found.s2 >= found.s3 >= found.s4 >= found.s5 >= 0
        assert out_of_order("2025", found) == ""
        assert all(100 >= s2 >= s3 >= s4 >= 0 for s2, s3, s4 in found.by_modality.values())


@given(SUITES)
def test_the_promises_of_2024_hold(tasks: list[Graded]) -> None:
    found = synergy("2024", tasks)
    assert 100 >= found.s2 >= found.s3 >= 0
    assert 100 >= found.s4 >= found.s5 >= 0


@given(SUITES, st.integers(0, 29), st.sampled_from(["2024", "2025"]))
def test_winning_one_task_more_never_lowers_a_score(tasks: list[Graded], at: int, edition: str) -> None:
    better = [task._replace(gated=task.sigma) if i == at else task for i, task in enumerate(tasks)]
    before, after = synergy(edition, tasks), synergy(edition, better)
    assert all(
        new >= old or new == pytest.approx(old, rel=1e-12) for old, new in zip(before[:4], after[:4], strict=True)
    )
