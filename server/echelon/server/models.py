"""The models of one server, by name."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Collection, Iterable
from typing import Any

import structlog

from echelon.adapters.errors import ConfigurationError, EchelonError, ModelNotFoundError
from echelon.adapters.registry import Registry
from echelon.adapters.worker.values import ForeignError
from echelon.rpc.config import Limits
from echelon.server.config import ModelConfig
from echelon.server.hosts.choice import hosts_of
from echelon.server.hosts.host import Isolation
from echelon.server.model import ModelState, OnState, ServedModel

WATCH_S = 1.0
"""Between two questions whether a model can answer."""


class Models:
    """Holds every configured model; one that fails to load stops no other."""

    def __init__(
        self, configs: list[ModelConfig], registry: Registry, *, trust: Collection[str], limits: Limits
    ) -> None:
        """AdapterNotFoundError and AdapterLoadError come out of here, before anything listens."""
        self._models = {
            config.name: ServedModel(config, hosts_of(config, registry, trust, limits)) for config in configs
        }
        self._log: Any = structlog.get_logger("echelon.server")

    def get(self, name: str) -> ServedModel:
        """The model called `name`; ModelNotFoundError names the nearest."""
        model = self._models.get(name)
        if model is None:
            close = difflib.get_close_matches(name, self._models, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "; ask for the list of models"
            raise ModelNotFoundError(f"this server holds no model {name!r}{hint}")
        return model

    def all(self) -> list[ServedModel]:
        """Every model, by name."""
        return [self._models[name] for name in sorted(self._models)]

    async def load(self, on_state: OnState) -> dict[str, BaseException]:
        """Load all models, one after another, and meanwhile find those on other servers; what failed, by name."""
        failed: dict[str, BaseException] = {}

        async def load(models: Iterable[ServedModel]) -> None:
            for model in models:
                if error := await self._load(model, on_state):
                    failed[model.name] = error

        remote = [model for model in self.all() if model.isolation is Isolation.REMOTE]
        here = [model for model in self.all() if model not in remote]
        await asyncio.gather(load(here), *(load([model]) for model in remote))
        return failed

    async def _load(self, model: ServedModel, on_state: OnState) -> BaseException | None:
        failure = None
        try:
            await model.load(on_state)
        except asyncio.CancelledError:
            raise
        # A vendor's code and files are behind this; one broken model stops no other.
        except BaseException as error:  # noqa: BLE001  (see above)
            failure = error
            own = isinstance(error, ConfigurationError)
            self._log.error("model failed", model=model.name, error=told(error), exc_info=None if own else error)
        await on_state(model.name, model.state is ModelState.READY)
        return failure

    async def watch(self, on_state: OnState) -> None:
        """Ask every loaded model again and again whether it can answer, and tell each change; never ends by itself."""
        said = {model.name: True for model in self.all() if model.state is ModelState.READY}
        while True:
            await asyncio.sleep(WATCH_S)
            names = list(said)
            answers = await asyncio.gather(*(self._models[name].ready() for name in names))
            for name, ready in zip(names, answers, strict=True):
                if ready is not said[name]:
                    said[name] = ready
                    self._log.warning("model can answer again" if ready else "model cannot answer now", model=name)
                    await on_state(name, ready)

    def drain(self) -> None:
        """Take no new calls, in any model."""
        for model in self.all():
            model.drain()

    async def close(self) -> None:
        """Close every model."""
        for model in self.all():
            await model.close()


def told(error: BaseException) -> str:
    """An error in words: of what is not ours the type too, for a KeyError's text is a key."""
    if isinstance(error, EchelonError | ForeignError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
