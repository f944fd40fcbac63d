"""Runs one adapter for the server at the other end of the inherited socket whose number is the first argument."""

from __future__ import annotations

import socket
import sys


def main() -> None:
    """Until the server has closed the adapter, or is gone."""
    from echelon.adapters.worker.guardian import split

    end = socket.socket(fileno=int(sys.argv[1]))
    end.set_inheritable(False)
    split(end.fileno())

    from echelon.adapters.worker.frames import Connection
    from echelon.adapters.worker.service import serve

    serve(Connection(end))


if __name__ == "__main__":
    main()
