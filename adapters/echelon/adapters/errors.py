"""The errors of Echelon, as adapters raise them and clients see them, whatever lies between.

    EchelonError
      InvalidInputError         what was asked breaks the contract or the model's limits
      UnsupportedError          the model does not do that; never counted as a wrong answer
      LimitExceededError        too large for the server; a smaller request may pass
        OutOfMemoryError        even alone too large for the memory of the model's device
      ModelNotFoundError        no model of that name here
      ContentNotFoundError      a content_ref that this peer never put
      ServerBusyError           overload; try again after retry_after_s
      ModelNotReadyError        still loading, failed or draining
      IdentityChangedError      the model is not the one that the call expects
      BackendError              the runtime behind the adapter failed; may be tried again
      AdapterCrashedError       the model's process died under the call
      AdapterFailedError        the adapter raised; the server's log has the story under the incident id
      OutputInvalidError        what the adapter returned breaks the contract
      BudgetExceededError       no answer within the deadline or budget
      AuthMissingError          no credentials
      AuthDeniedError           credentials that are not enough
      UnreachableError          the network or the server is away
      ConfigurationError        something a person wrote has to be put right, here and now
        AdapterNotFoundError    no adapter of that name installed
        AdapterLoadError        a plug-in that cannot be used
        SettingsError           settings that do not fit the adapter
        MissingExtraError       an optional part of Echelon is not installed

Reasons are the contract's words for these conditions and are never derived from class names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from echelon.adapters.calls import Usage


class EchelonError(Exception):
    """Anything that Echelon reports by design; its text is for people and names the thing and the fix.

    `usage` is what the call took all the same, as far as it is known: an answer that nobody can use is paid for too.
    """

    reason: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after_s: float | None = None, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.usage = usage


class InvalidInputError(EchelonError):
    """The request breaks the contract; `violations` are (field path, what is wrong)."""

    reason = "REQUEST_INVALID"

    def __init__(self, message: str, *, violations: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations


class UnsupportedError(EchelonError):
    """The model does not do that."""

    reason = "CAPABILITY_UNSUPPORTED"


class LimitExceededError(EchelonError):
    """The request or its answer is larger than the server allows."""

    reason = "LIMIT_EXCEEDED"


class OutOfMemoryError(LimitExceededError):
    """The model's device has no memory left for what it was given; the server asks again with half of a batch."""

    reason = "OUT_OF_MEMORY"


class ModelNotFoundError(EchelonError):
    """The server holds no model of that name."""

    reason = "MODEL_NOT_FOUND"


class ContentNotFoundError(EchelonError):
    """The referenced content was never put by this peer, or has expired."""

    reason = "CONTENT_NOT_FOUND"


class ServerBusyError(EchelonError):
    """The server has as much as it takes; try again later."""

    reason = "SERVER_BUSY"
    retryable = True


class ModelNotReadyError(EchelonError):
    """The model is loading, failed to load, or drains."""

    reason = "MODEL_NOT_READY"
    retryable = True


class IdentityChangedError(EchelonError):
    """The model's identity is not the one that the call expects, or changed while it answered."""

    reason = "IDENTITY_CHANGED"


class BackendError(EchelonError):
    """The runtime behind the adapter failed; another try may succeed."""

    reason = "BACKEND_UNAVAILABLE"
    retryable = True


class AdapterCrashedError(EchelonError):
    """The model's process died under the call."""

    reason = "ADAPTER_CRASHED"
    retryable = True


class AdapterFailedError(EchelonError):
    """The adapter raised something that is not an EchelonError."""

    reason = "ADAPTER_EXCEPTION"
    retryable = True


class OutputInvalidError(EchelonError):
    """The adapter returned something that breaks the contract."""

    reason = "OUTPUT_INVALID"


class BudgetExceededError(EchelonError):
    """No answer came within the deadline or the budget."""

    reason = "BUDGET_EXCEEDED"


class AuthMissingError(EchelonError):
    """The server wants credentials and got none."""

    reason = "AUTH_MISSING"


class AuthDeniedError(EchelonError):
    """The credentials are unknown or not enough."""

    reason = "AUTH_DENIED"


class UnreachableError(EchelonError):
    """The server could not be reached, or the connection broke."""

    reason = "UNREACHABLE"
    retryable = True


class ConfigurationError(EchelonError):
    """Something that a person wrote or installed must be put right first."""

    reason = "CONFIGURATION"


class AdapterNotFoundError(ConfigurationError):
    """No adapter of that name is installed."""

    reason = "ADAPTER_NOT_FOUND"


class AdapterLoadError(ConfigurationError):
    """The plug-in is there and cannot be used."""

    reason = "ADAPTER_NOT_LOADED"


class SettingsError(ConfigurationError):
    """The settings do not fit the adapter."""

    reason = "SETTINGS_INVALID"


class MissingExtraError(ConfigurationError):
    """An optional part of Echelon is not installed."""

    reason = "EXTRA_MISSING"

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; get it with: pip install 'echelon[{extra}]'")


def _and_below(kind: type[EchelonError]) -> Iterator[type[EchelonError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _and_below(below)


BY_REASON = {kind.reason: kind for kind in _and_below(EchelonError)}
"""The errors defined here, by reason."""


def public_kind(error: EchelonError) -> type[EchelonError]:
    """The nearest kind of `error` that both ends of a wire know."""
    return next(base for base in type(error).__mro__ if base in _PUBLIC)


_PUBLIC = frozenset(BY_REASON.values())


def rebuilt(
    kind: type[EchelonError],
    message: str,
    *,
    retry_after_s: float | None = None,
    violations: tuple[tuple[str, str], ...] = (),
    usage: Usage | None = None,
) -> EchelonError:
    """An error of `kind` as another process raised it."""
    # Not by calling the class: some compose their text from other arguments.
    error = kind.__new__(kind)
    EchelonError.__init__(error, message, retry_after_s=retry_after_s, usage=usage)
    if isinstance(error, InvalidInputError):
        error.violations = violations
    return error
