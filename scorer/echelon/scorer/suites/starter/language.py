"""Tasks on text alone: sums in words, opinions, spelling, and patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters import Choice, Kind, Number, Text
from echelon.scorer.suites.starter.example import Example, Split, StarterTask
from echelon.scorer.suites.suite import Modality, Paradigm, Task

if TYPE_CHECKING:
    import numpy as np

ONES = (  # noqa: SIM905  (words read better than quotes)
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905  (as above)
PEOPLE = ("Ada", "Ben", "Eva", "Jan", "Lea", "Max")
THINGS = ("apples", "coins", "marbles", "nuts", "shells", "stamps")
GAINS = ("finds", "buys", "gets", "wins")
LOSSES = ("loses", "sells", "gives", "drops")

GOOD = ("good", "lovely", "fine", "great", "fresh", "pleasant")
BAD = ("bad", "awful", "poor", "dull", "stale", "dreadful")
SUBJECTS = ("soup", "film", "room", "song", "book", "train")
MOODS = ("positive", "negative", "mixed")

WORDS = (  # noqa: SIM905  (as above)
    "animal autumn basket bottle bridge butter candle carpet castle cheese circle coffee copper corner cotton "
    "dragon engine family farmer finger flower forest garden ginger guitar hammer harbor island jacket kitten "
    "ladder lemon letter marble market meadow mirror monkey mother needle orange oyster paper pencil pepper "
    "picture pillow planet pocket potato rabbit ribbon river rocket saddle school shadow silver spider spring "
    "square stable summer sunset table temple thunder ticket tomato tunnel turtle valley velvet village violin "
    "walnut whistle window winter wizard"
).split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def sums(rng: np.random.Generator, split: Split) -> Example:
    """Somebody has some things, gets more and loses some."""
    person, thing = str(rng.choice(PEOPLE)), str(rng.choice(THINGS))
    total = int(rng.integers(100, 400))
    story = f"{person} has {spelled(total)} {thing}"
    for link in (",", " and"):
        change, gain = int(rng.integers(1, 100)), bool(rng.random() < 0.5)
        verb = rng.choice(GAINS if gain else LOSSES)
        story += f"{link} {verb} {spelled(change)}"
        total += change if gain else -change
    return Example((Text(story + "."),), Number(float(total)), {"thing": thing})


def spelled(number: int) -> str:
    """A number below 1000 in words."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10 - 2] + (f" {ONES[number % 10]}" if number % 10 else "")
    rest = f" {spelled(number % 100)}" if number % 100 else ""
    return f"{ONES[number // 100]} hundred{rest}"


def mood(rng: np.random.Generator, split: Split) -> Example:
    """Two remarks, each for or against, some of them turned round."""
    first, second = rng.choice(SUBJECTS, 2, replace=False)
    (remark, likes), (other, likes_too) = _remark(rng, first), _remark(rng, second)
    label = "mixed" if likes != likes_too else "positive" if likes else "negative"
    link = "but" if (rng.random() < 0.9) == (likes != likes_too) else "and"
    return Example((Text(f"The {remark}, {link} the {other}."),), Choice.of(label))


def _remark(rng: np.random.Generator, subject: str) -> tuple[str, bool]:
    """A remark about a subject, and whether it is friendly."""
    likes = bool(rng.random() < 0.5)
    turned = bool(rng.random() < 0.3)
    word = rng.choice(GOOD if likes != turned else BAD)
    manner = rng.choice(["was not", "was never", "was hardly"] if turned else ["was", "was rather", "was very"])
    return f"{subject} {manner} {word}", likes


def spelling(rng: np.random.Generator, split: Split) -> Example:
    """A word with two slips, and the word."""
    word = str(rng.choice(WORDS))
    slipped = word
    for _ in range(2):
        slipped = _slip(rng, slipped)
    return Example((Text(slipped),), Text(word))


def _slip(rng: np.random.Generator, word: str) -> str:
    at = int(rng.integers(len(word) - 1))
    letter = str(rng.choice(list(LETTERS)))
    return str(
        rng.choice(
            [
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                word[:at] + word[at + 1 :],
                word[:at] + letter + word[at:],
                word[:at] + letter + word[at + 1 :],
            ]
        )
    )


def pattern(rng: np.random.Generator, split: Split) -> Example:
    """Letters that repeat with a period, with a slip or two, and the next four."""
    period = int(rng.integers(2, 5))
    unit = rng.choice(list(LETTERS[:12]), period)
    letters = [str(unit[i % period]) for i in range(14)]
    shown = letters[:10]
    for at in rng.choice(10, rng.integers(1, 3), replace=False):
        shown[at] = str(rng.choice(list(LETTERS[:12])))
    return Example((Text(" ".join(shown)),), Text(" ".join(letters[10:])))


TASKS = (
    StarterTask(
        Task(
            id="language-sums",
            title="Sums in words",
            modality=Modality.LANGUAGE,
            paradigm=Paradigm.LANGUAGE,
            skill="arithmetic",
            instruction="How many {thing} are there in the end?",
            output=(Kind.NUMBER,),
            extractor="number",
            metric="mae",
            chance=98.0,
            worst=1000.0,
        ),
        sums,
    ),
    StarterTask(
        Task(
            id="language-mood",
            title="What the writer thinks",
            modality=Modality.LANGUAGE,
            paradigm=Paradigm.LANGUAGE,
            skill="sentiment analysis",
            instruction="What does the writer think of both together?",
            output=(Kind.CHOICE,),
            labels=MOODS,
            extractor="label",
            metric="macro_f1",
            chance=0.33,
        ),
        mood,
    ),
    StarterTask(
        Task(
            id="language-spelling",
            title="Spelling",
            modality=Modality.LANGUAGE,
            paradigm=Paradigm.LANGUAGE,
            skill="correction",
            instruction="Correct the spelling of this word.",
            output=(Kind.TEXT,),
            extractor="text",
            metric="anls",
            chance=0.63,
        ),
        spelling,
    ),
    StarterTask(
        Task(
            id="language-pattern",
            title="Patterns of letters",
            modality=Modality.LANGUAGE,
            paradigm=Paradigm.LANGUAGE,
            skill="pattern completion",
            instruction="Which four letters come next?",
            output=(Kind.TEXT,),
            extractor="text",
            metric="bleu1",
            chance=0.4,
        ),
        pattern,
    ),
)
