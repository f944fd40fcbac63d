"""What gRPC says of a server that it cannot reach, in words that say what to do."""

from __future__ import annotations

import re
from urllib.parse import unquote

_FAILED = re.compile(r"failed to connect to all addresses; last error: \w+: (?:ipv[46]:)?(\S+?): (.*)", re.DOTALL)
_UNRESOLVED = re.compile(r"errors resolving (\S+): .*Domain name not found.*", re.DOTALL)
_MEANINGS = (
    ("Connection refused", "nobody listens there; is the server running?"),
    ("No such file or directory", "there is no such socket; is the server running?"),
    ("Socket closed", "whoever listens there hung up; does it want TLS, or a certificate of ours?"),
    ("timed out before receiving SETTINGS", "somebody listens there and says nothing"),
    ("SETTINGS frame", "whoever listens there does not speak gRPC"),
    ("WRONG_VERSION_NUMBER", "whoever listens there does not speak TLS"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not from the authority that was given"),
    ("Hostname Verification", "its certificate is for another name than the address"),
)
"""Some of what gRPC may say, and what it means."""


def in_words(details: str) -> str:
    """`details` as gRPC gave them, or what they mean where that is known."""
    if details == "Deadline Exceeded":
        return "no answer came in time"
    unresolved = _UNRESOLVED.fullmatch(details)
    if unresolved is not None:
        return f"cannot reach {unresolved.group(1)}: there is no host of that name"
    failed = _FAILED.fullmatch(details)
    if failed is None:
        return details
    address, why = failed.groups()
    meaning = next((meaning for sign, meaning in _MEANINGS if sign in why), why)
    return f"cannot reach {unquote(address)}: {meaning}"
