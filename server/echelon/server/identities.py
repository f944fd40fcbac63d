"""The identity of a served model, which may change while its server runs."""

from __future__ import annotations

from typing import Any

import structlog

from echelon.adapters import Card, EchelonError
from echelon.adapters.errors import AdapterLoadError, IdentityChangedError
from echelon.adapters.identity import Identity, combined, from_card
from echelon.wire.cards import identity_to_proto
from echelon.wire.rules import check

_TOO_OLD = "code, settings and files: the echelon in the adapter's environment is too old to identify them"


class ModelIdentity:
    """Combines the identities of a model's hosts: a process that starts again may come back as another model."""

    def __init__(self, model: str, adapter: str) -> None:
        self._model = model
        self._adapter = adapter
        self._of_hosts: dict[int, Identity] = {}
        self._log: Any = structlog.get_logger("echelon.server").bind(model=model)
        self.current = Identity()
        """Its digest is empty until the model is known."""

    def put(self, number: int, identity: Identity, card: Card) -> None:
        """Set the identity of a host, which came with `card`; AdapterLoadError where it breaks the contract."""
        self._of_hosts[number] = self._checked(identity, card)
        before, self.current = self.current, combined(list(self._of_hosts.values()))
        if before.digest not in ("", self.current.digest):
            self._log.info("model has another identity", before=before.digest, identity=self.current.digest)

    def put_first(self, number: int, identity: Identity, card: Card) -> None:
        """Set the same, unless the host has started again meanwhile and has a newer one."""
        if number not in self._of_hosts:
            self.put(number, identity, card)

    def _checked(self, identity: Identity, card: Card) -> Identity:
        if not identity.digest:
            return from_card(card, adapter=self._adapter, unverified=_TOO_OLD)
        try:
            check(identity_to_proto(identity))
        except (EchelonError, TypeError, ValueError) as error:
            raise AdapterLoadError(f"the identity of model {self._model!r} breaks the contract: {error}") from error
        return identity

    def expect(self, digest: str) -> None:
        """Check that the model has the identity of that digest, if any; IdentityChangedError where it has another.

        To be called before and after a call: a host tells its identity before anything that it answers.
        """
        if digest and self.current.digest not in ("", digest):
            raise IdentityChangedError(
                f"model {self._model!r} is not the one that the call expects: its identity is {self.current.digest}, "
                f"not {digest}"
            )
