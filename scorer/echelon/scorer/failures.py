"""What a failed call means for a run: try again, end the sample in a state, or end the run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from echelon.adapters import errors
from echelon.scorer.outcomes import State


class Then(Enum):
    """What follows when a failure is not tried again."""

    COUNT = "the sample ends in a model-caused state"
    LEAVE = "the sample stays unanswered, and its task incomplete"
    END = "the run ends unfinished: the model is not the one that it began with"
    STOP = "the run stops: the suite, the configuration or the credentials are wrong"


@dataclass(frozen=True, slots=True)
class Rule:
    """For one reason: how many more tries, whether they are bounded by patience instead, and what then."""

    then: Then
    state: State = State.UNAVAILABLE
    retries: int = 0
    patient: bool = False
    """The trouble is the infrastructure's: tries go on, slower and slower, until the run's patience ends."""


_RULES: dict[type[errors.EchelonError], Rule] = {
    errors.InvalidInputError: Rule(Then.STOP),
    errors.AuthMissingError: Rule(Then.STOP),
    errors.AuthDeniedError: Rule(Then.STOP),
    errors.ConfigurationError: Rule(Then.STOP),
    errors.ModelNotFoundError: Rule(Then.STOP),
    # The card promised it: saying "unsupported" to a hard sample must not pay.
    errors.UnsupportedError: Rule(Then.COUNT, State.REFUSED),
    errors.OutputInvalidError: Rule(Then.COUNT, State.INVALID),
    errors.AdapterFailedError: Rule(Then.COUNT, State.CRASHED, retries=1),
    errors.AdapterCrashedError: Rule(Then.COUNT, State.CRASHED, retries=2),
    errors.ServerBusyError: Rule(Then.LEAVE, patient=True),
    errors.ModelNotReadyError: Rule(Then.LEAVE, patient=True),
    errors.UnreachableError: Rule(Then.LEAVE, patient=True),
    errors.IdentityChangedError: Rule(Then.END),
    errors.BackendError: Rule(Then.LEAVE, retries=3),
    # Whoever waits behind others is late without being slow; meanwhile fewer are asked at once.
    errors.BudgetExceededError: Rule(Then.LEAVE, retries=2),
    errors.LimitExceededError: Rule(Then.LEAVE),
    errors.ContentNotFoundError: Rule(Then.LEAVE),
    errors.EchelonError: Rule(Then.LEAVE, retries=1),
}


def rule(error: errors.EchelonError) -> Rule:
    """The rule for `error`, or for its nearest known parent."""
    return next(_RULES[kind] for kind in type(error).__mro__ if kind in _RULES)
