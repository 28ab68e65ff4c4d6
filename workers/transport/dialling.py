"""How a site reaches the relay: outbound only, through its proxy, trusting its own authority."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from secrets import SystemRandom
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import (
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
)

from workers.transport.frames import MAX_RELAY_MESSAGE_BYTES

_OPEN_TIMEOUT_SECONDS = 10
_CLOSE_TIMEOUT_SECONDS = 2
_PING_INTERVAL_SECONDS = 20
# A pong waits behind everything that a slow link still has to carry.
_PING_TIMEOUT_SECONDS = 120
_FIRST_DELAY_SECONDS = 0.1
_LONGEST_DELAY_SECONDS = 5.0
_TRANSIENT_STATUS = frozenset({408, 425, 429})


class Dial(connect):
    """Follows no redirect: a site's firewall allows one host, and so do we."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Return the error instead of the address to go on to."""
        return exc


def dial(url: str, *, authorization: str, ssl_context: ssl.SSLContext | None) -> connect:
    """A connection to the relay, to be entered; nothing is sent before that.

    The environment's proxy settings (``https_proxy``, ``wss_proxy``, ``no_proxy`` and so on) are
    honoured. Frames are not compressed: ciphertext does not shrink, and it would cost most of the
    throughput.
    """
    tls: dict[str, Any] = {} if ssl_context is None else {"ssl": ssl_context}
    return Dial(
        url,
        additional_headers={"Authorization": authorization},
        user_agent_header="quorate",
        compression=None,
        max_size=MAX_RELAY_MESSAGE_BYTES,
        proxy=True,
        open_timeout=_OPEN_TIMEOUT_SECONDS,
        close_timeout=_CLOSE_TIMEOUT_SECONDS,
        ping_interval=_PING_INTERVAL_SECONDS,
        ping_timeout=_PING_TIMEOUT_SECONDS,
        **tls,
    )


def tls_context(authority: Path | None) -> ssl.SSLContext:
    """A client context that trusts the given certificate authority alone, or the system's.

    *Raises* OSError or ssl.SSLError when the file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context(cafile=None if authority is None else str(authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def refusal(error: Exception) -> str | None:
    """Why dialling again cannot help, or None when it may."""
    if isinstance(error, InvalidStatus | InvalidProxyStatus):
        status = error.response.status_code
        if not 300 <= status < 500 or status in _TRANSIENT_STATUS:
            return None
        who = "the relay" if isinstance(error, InvalidStatus) else "the proxy"
        return f"{who} answered with status {status}"
    if isinstance(error, InvalidURI | InvalidProxy):
        # Not the whole error: a proxy's address may contain its password.
        return f"the address of the relay or the proxy cannot be used: {error.msg}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the relay's certificate is not trusted: {error.verify_message}"
    return None


def describe(error: Exception) -> str:
    """What went wrong, without addresses or credentials."""
    if isinstance(error, InvalidStatus | InvalidProxyStatus):
        return f"{type(error).__name__}, status {error.response.status_code}"
    return type(error).__name__


def delays() -> Iterator[float]:
    """Seconds to wait before each further attempt: doubling, with jitter, at most 5."""
    longest = _FIRST_DELAY_SECONDS
    while True:
        yield SystemRandom().uniform(longest / 2, longest)
        longest = min(2 * longest, _LONGEST_DELAY_SECONDS)
