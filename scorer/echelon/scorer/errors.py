"""Errors of the scorer."""

from echelon.adapters.errors import ConfigurationError


class InvalidSuiteError(ConfigurationError):
    """A suite that cannot be used; the text names file, line and fix."""

    reason = "SUITE_INVALID"


class MissingLabelsError(InvalidSuiteError):
    """A task without the labels that its metric takes for classes."""


class UnknownNameError(ConfigurationError):
    """No suite, run, metric, extractor or edition of that name."""

    reason = "NAME_UNKNOWN"


class StoreError(ConfigurationError):
    """The store of runs cannot be used."""

    reason = "STORE_UNUSABLE"


class NotComputedError(ConfigurationError):
    """A metric lacks what it needs, an instrument, say; its task has no score, for the reason in the text."""

    reason = "NOT_COMPUTED"


class ShardError(ConfigurationError):
    """Shards of a metric's stats that cannot be read, or do not belong together."""

    reason = "SHARD_UNUSABLE"
