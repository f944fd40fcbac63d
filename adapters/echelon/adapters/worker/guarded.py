"""Programs of ours that end with whoever started them, killed or not."""

from __future__ import annotations

import os
import runpy
import sys

_OWN_NAME = "echelon.adapters.worker.guarded"


def guarded(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs `module` under a guardian, whose lifeline is its standard input.

    Start it with `stdin=PIPE` and `start_new_session=True`, so that a Ctrl-C reaches it by way of its parent alone.
    SIGTERM gets to the program; closing the pipe ends it, and all that it has started, at once.
    """
    return (sys.executable, "-m", _OWN_NAME, module, *arguments)


def main() -> None:
    """Run the module that the arguments begin with; its standard input is empty."""
    from echelon.adapters.worker.guardian import split

    lifeline = sys.stdin.fileno()
    split(lifeline)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, lifeline)
    os.close(nothing)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
