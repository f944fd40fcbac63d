"""An Echelon server, everything on, whose model gives back what it gets."""

from __future__ import annotations

from importlib.metadata import EntryPoint

from echelon.adapters import Answer, BatchAdapter, Call, CallSupport, Card, Kind, NoSettings
from echelon.adapters.registry import GROUP, Registry
from echelon.rpc import log
from echelon.rpc.config import ListenerConfig
from echelon.rpc.loop import run
from echelon.server.app import Server, serve
from echelon.server.config import ModelConfig, ServerConfig
from echelon.server.hosts.host import Isolation


class Mirror(BatchAdapter[NoSettings]):
    """Gives back the parts of a call."""

    def card(self):
        return Card("1", (CallSupport(Call.COMPREHEND, tuple(Kind), tuple(Kind)),))

    def comprehend(self, requests):
        return [Answer(request.parts) for request in requests]


async def main() -> None:
    config = ServerConfig(ListenerConfig("127.0.0.1:0"), [ModelConfig("mirror", "mirror", isolation=Isolation.INPROC)])
    registry = Registry([EntryPoint("mirror", "mirror_server:Mirror", GROUP)])
    await serve(Server(config, registry), lambda address, _: print(f"mirror on {address}", flush=True))


if __name__ == "__main__":
    log.configure(level="warning")
    run(main)
