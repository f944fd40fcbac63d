"""The vendor's test kit: checks an adapter, or any server of the contract, from the outside.

In a test file of yours, `conformance = Conformance("my-adapter")` makes pytest run each check as a test.
"""

from echelon.conformance.plan import Conformance

__all__ = ["Conformance"]
