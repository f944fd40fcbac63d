"""Files of a suite folder, read so that nothing outside the folder can ever be reached."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from echelon.scorer.errors import InvalidSuiteError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_MEDIA_BYTES = 48 * 2**20
"""The largest medium that the contract carries."""


class MediaFolder:
    """The files under one folder, by relative path with forward slashes."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))

    def path(self, name: str) -> Path:
        """Where the file `name` is; InvalidSuiteError if that is no file inside the folder."""
        if not name or "\0" in name or "\\" in name or name.startswith("/") or ".." in name.split("/"):
            raise InvalidSuiteError(f"{name!r} is no path inside the suite; use one relative to its folder, with '/'")
        plain = os.path.normpath(os.path.join(self.root, name))  # noqa: PTH118  (several times faster than pathlib)
        self._check_links(name, plain)
        try:
            is_file = stat.S_ISREG(os.stat(plain).st_mode)  # noqa: PTH116  (as above)
        except OSError as error:
            raise InvalidSuiteError(f"{name}: {error.strerror}") from error
        if not is_file:
            raise InvalidSuiteError(f"{name} is not a regular file")
        return Path(plain)

    def _check_links(self, name: str, plain: str) -> None:
        real = os.path.realpath(plain)
        if not real.startswith(f"{self.root}{os.sep}"):
            raise InvalidSuiteError(f"{name} is a link that leads out of the suite; put the file itself there")
        folder = os.path.dirname(plain)  # noqa: PTH120  (as above)
        if real != plain and os.path.realpath(folder) != folder:
            raise InvalidSuiteError(f"{name} lies in a linked folder; put the folder itself there")

    def read(self, name: str, suffixes: tuple[str, ...], limit: int = MAX_MEDIA_BYTES) -> bytes:
        """The bytes of the file `name`, which ends in one of `suffixes`."""
        if not name.lower().endswith(suffixes):
            raise InvalidSuiteError(f"{name}: the file must be one of {', '.join(suffixes)}")
        path = self.path(name)
        size = path.stat().st_size
        if size > limit:
            raise InvalidSuiteError(f"{name} has {size} bytes, at most {limit} are taken")
        try:
            return path.read_bytes()
        except OSError as error:
            raise InvalidSuiteError(f"{name}: {error.strerror}") from error

    def array(self, name: str) -> NDArray[np.generic]:
        """The array in the .npy file `name`; pickles are refused."""
        import numpy as np

        if not name.lower().endswith(".npy"):
            raise InvalidSuiteError(f"{name}: the file must be a .npy")
        path = self.path(name)
        try:
            # Mapped, so that a header that promises more than the file holds cannot allocate it; takes no pickles.
            values = np.lib.format.open_memmap(path, mode="r")
        # Hostile headers make numpy raise nearly anything.
        except Exception as error:
            raise InvalidSuiteError(f"{name} is not a .npy file of numbers: {error}") from error
        if values.nbytes > MAX_MEDIA_BYTES:
            raise InvalidSuiteError(f"{name} holds {values.nbytes} bytes, at most {MAX_MEDIA_BYTES} are taken")
        return values
