"""Scopes: the parts of a suite that a level can be computed over."""

from __future__ import annotations

from dataclasses import dataclass

from echelon.adapters.settings import nearest
from echelon.scorer.editions import Graded
from echelon.scorer.errors import UnknownNameError
from echelon.scorer.suites.suite import Modality, Paradigm

FORMS = "A, B:image, B:image+video, C:image-generation or D:image-generation:SKILL"

_MODALITIES = tuple(modality.value for modality in Modality if modality is not Modality.LANGUAGE)
_PARADIGMS = (Paradigm.COMPREHENSION.value, Paradigm.GENERATION.value)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which tasks count; an empty field leaves nothing out.

    A is everything, B some modalities with language, C one paradigm of one modality, D one skill in that. C and D end
    at level 3, since the higher levels combine both paradigms.
    """

    modalities: tuple[Modality, ...] = ()
    paradigm: Paradigm | None = None
    skill: str = ""

    def covers(self, task: Graded) -> bool:
        """Whether a task belongs to the scope."""
        if self.paradigm is None:
            return not self.modalities or task.modality in self.modalities or task.paradigm is Paradigm.LANGUAGE
        return (
            task.modality in self.modalities
            and task.paradigm is self.paradigm
            and (not self.skill or task.skill.casefold() == self.skill.casefold())
        )

    def of(self, suite: str) -> str:
        """The scope in words: a part of a suite must not pass for the whole."""
        if not self.modalities:
            return suite
        what = " and ".join(self.modalities)
        if self.paradigm is None:
            return f"{what} of {suite}"
        return f"{what} {self.paradigm}{f', {self.skill}' if self.skill else ''}, of {suite}"


WHOLE = Scope()


def scope(text: str) -> Scope:
    """The scope that a text such as `B:image+video` names; UnknownNameError if none."""
    letter, _, rest = text.partition(":")
    if text.upper() == "A":
        return WHOLE
    if letter.upper() == "B" and rest:
        return Scope(tuple(_modality(name) for name in rest.split("+")))
    if letter.upper() in ("C", "D"):
        where, _, skill = rest.partition(":")
        modality, _, paradigm = where.partition("-")
        if bool(skill) is (letter.upper() == "D"):
            return Scope((_modality(modality),), _paradigm(paradigm), skill.strip())
    raise UnknownNameError(f"there is no scope {text!r}; a scope is {FORMS}")


def _modality(name: str) -> Modality:
    if name.casefold() not in _MODALITIES:
        raise UnknownNameError(f"there is no modality {name!r}{nearest(name, _MODALITIES)}; a scope is {FORMS}")
    return Modality(name.casefold())


def _paradigm(name: str) -> Paradigm:
    if name.casefold() not in _PARADIGMS:
        raise UnknownNameError(f"there is no paradigm {name!r}{nearest(name, _PARADIGMS)}; a scope is {FORMS}")
    return Paradigm(name.casefold())
