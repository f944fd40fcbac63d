"""Makes each check a test: a Conformance at the top of a test module is collected like a class of tests.

Loaded with every pytest where Echelon is installed, so nothing heavy is imported until there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from echelon.adapters.errors import EchelonError
from echelon.conformance.plan import Conformance

if TYPE_CHECKING:
    from echelon.conformance.findings import Check
    from echelon.conformance.kit import Kit


class FailedCheckError(Exception):
    """A check failed; the text says why and what would put it right."""


class Checks(pytest.Collector):
    """All checks of one Conformance; what is checked is served from the first to the last."""

    conformance: Conformance
    kit: Kit | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """A test for each check."""
        from echelon.conformance.extras import expect_installed

        try:
            expect_installed(self.conformance)
        except EchelonError as error:
            raise self.CollectError(str(error)) from error
        from echelon.conformance.kit import CHECKS

        for check in CHECKS:
            item = CheckItem.from_parent(self, name=check.id)
            item.check = check
            yield item

    def setup(self) -> None:
        """Serve it, before the first test."""
        from echelon.conformance.kit import Kit

        try:
            self.kit = Kit(self.conformance).__enter__()
        except EchelonError as error:
            pytest.fail(str(error), pytrace=False)

    def teardown(self) -> None:
        """Stop it, after the last."""
        if self.kit is not None:
            self.kit.close()


class CheckItem(pytest.Item):
    """One check."""

    parent: Checks
    check: Check

    def runtest(self) -> None:
        """Carry the check out."""
        from echelon.conformance.findings import State

        kit = self.parent.kit
        assert kit is not None
        finding = kit.run(self.check)
        if finding.state is State.SKIPPED:
            pytest.skip(finding.said)
        if finding.state is State.FAILED:
            raise FailedCheckError(f"{finding.about}: {finding.said}\nfix: {finding.fix}")

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """A check's own words, and a traceback for everything else."""
        if isinstance(excinfo.value, FailedCheckError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> Any:
        """Where the Conformance stands."""
        return self.path, None, f"{self.parent.name}: {self.check.about}"


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> Checks | None:
    """A collector for a Conformance, whatever its name."""
    if not isinstance(obj, Conformance):
        return None
    checks: Checks = Checks.from_parent(collector, name=name)
    checks.conformance = obj
    return checks
