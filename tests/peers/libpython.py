"""Fails where the dynamic linker would not find this Python's library, which Triton's Python backend loads."""

import ctypes
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path

NAME = f"libpython3.{sys.version_info.minor}.so.1.0"

with suppress(OSError):
    ctypes.CDLL(NAME)
    sys.exit(0)
sys.exit(not Path(str(sysconfig.get_config_var("LIBDIR")), NAME).exists())
