"""A whole server: a listener, its models, and the way from start to drained."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Collection

from echelon.adapters.registry import Registry
from echelon.rpc.listener import Listener
from echelon.server.calls import Calls
from echelon.server.config import ServerConfig
from echelon.server.contents import Contents
from echelon.server.models import Models
from echelon.server.open_inference import OpenInferenceServicer, add_to_server
from echelon.server.servicer import SERVICE, ModelServicer
from echelon.v1 import model_service_pb2_grpc as pb_grpc
from echelon.wire.open_inference import pool


class Server:
    """Serves models from `start` to `stop`."""

    def __init__(self, config: ServerConfig, registry: Registry, *, trust: Collection[str] = ()) -> None:
        """The adapters of the distributions named in `trust` run in this process, beside Echelon's own."""
        self.listener = Listener(config.listener)
        self.models = Models(config.models, registry, trust=trust, limits=config.listener.limits)
        self.contents = Contents(config.listener.limits, self.listener.admission)
        calls = Calls(self.models, self.listener.admission, self.listener.guard, config.listener.limits, self.contents)
        self._servicer = ModelServicer(self.models, calls, self.contents, self.listener.guard)
        self._watching: asyncio.Task[None] | None = None
        self.listener.add(pb_grpc.add_ModelServiceServicer_to_server, self._servicer)
        open_inference = OpenInferenceServicer(self.models, calls, config.listener.limits)
        self.listener.add(add_to_server, open_inference, pool=pool())

    async def start(self) -> str:
        """Bind, so that health can be asked while models load; the address."""
        for model in self.models.all():
            await self.listener.set_health(model.name, serving=False)
        address = await self.listener.start()
        await self.listener.set_health("", serving=True)
        await self.listener.set_health(SERVICE, serving=True)
        return address

    async def load(self) -> dict[str, BaseException]:
        """Load every model; what failed, by name."""
        failed = await self.models.load(self.listener.set_health)
        self._watching = asyncio.create_task(self.models.watch(self.listener.set_health))
        return failed

    async def stop(self) -> None:
        """Drain and close."""
        if self._watching is not None:
            self._watching.cancel()
        await self.listener.stop(self._drain)
        await self.models.close()

    def _drain(self) -> None:
        self.models.drain()
        self._servicer.drain()


async def serve(server: Server, on_ready: Callable[[str, dict[str, BaseException]], None]) -> None:
    """Run `server` until SIGTERM or SIGINT; `on_ready` gets the address and what failed to load."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    address = await server.start()
    loading = asyncio.create_task(server.load())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if loading.done():
        on_ready(address, loading.result())
        await stopping
    loading.cancel()
    await server.stop()
