# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS requests that the server makes because a control plane asks for them: bounded, and never to where it must not reach.

Every address is judged twice: when a name is resolved, and again when the socket to that very address is made, so that a name that
resolves differently a moment later gains nothing. Redirects are not followed, proxies and cookies not used. The HTTP library is loaded
with the first request: a server whose control planes have no webhooks never pays for it.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from kplane_server.model.addresses import AddressPolicy
from kplane_server.model.keys import VcpId
from kplane_server.registry.hooks import HookFailure
from kplane_server.settings import OutboundSettings

if TYPE_CHECKING:
    import aiohttp

#: Control planes whose connections are kept; the one that was idle longest loses its own first.
MAX_POOLS: Final = 256
#: Names looked up at once, for all control planes and for one.
MAX_LOOKUPS: Final = 16
MAX_LOOKUPS_PER_VCP: Final = 4
#: Idle connections are closed after this time (seconds).
KEEP_ALIVE: Final = 30.0
USER_AGENT: Final = "kube-apiserver-admission"
#: How much of an error's body is told to the client.
_SHOWN_BODY: Final = 2_048

#: (host, port) of something inside a control plane → where it really is; None for what is not inside.
InsideResolver = Callable[[str, int], "Sequence[tuple[str, int]] | None"]


class Target(NamedTuple):
    """Where a request goes."""

    url: str
    ca_bundle: bytes = b""


class _Refused(OSError):
    """An address that is not allowed."""


class _Pool:
    """The connections of one control plane."""

    __slots__ = ("active", "inside", "lookups", "session")

    def __init__(self, session: aiohttp.ClientSession, inside: InsideResolver) -> None:
        self.session = session
        self.inside = inside
        self.active = 0
        self.lookups = asyncio.Semaphore(MAX_LOOKUPS_PER_VCP)


class Outbound:
    """All requests of one server. ``port``: its own, which nobody reaches through it. ``is_own``: tells this machine's addresses."""

    def __init__(self, settings: OutboundSettings, port: int, is_own: Callable[[str], bool] | None = None) -> None:
        self._settings = settings
        self._port = port
        self._is_own = is_own or address_is_own
        self._policy = AddressPolicy(settings.allow, settings.deny)
        self._pools: OrderedDict[VcpId, _Pool] = OrderedDict()
        self._threads: ThreadPoolExecutor | None = None
        self._closing: set[asyncio.Future[None]] = set()

    async def post(self, vcp: VcpId, target: Target, body: bytes, timeout: float, inside: InsideResolver) -> bytes:
        """Post JSON for a control plane and return the body of the answer. Raises HookFailure for everything that goes wrong.

        inside: finds what is inside of the control plane; what it does not know is looked up in the world.
        """
        import aiohttp  # only servers whose control planes call webhooks pay for it

        shown = f'Post "{target.url[:_SHOWN_BODY]}"'
        self._check_url(target.url, shown)
        try:
            context = tls_context(target.ca_bundle)
        except ssl.SSLError as error:
            raise HookFailure(f"unable to load root certificates: {_tls_reason(error)}") from error
        pool = self._pool(vcp, inside)
        pool.active += 1
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, self._settings.connect_timeout))
        try:
            async with pool.session.post(target.url, data=body, ssl=context, timeout=limits, allow_redirects=False) as response:
                answer = await self._read(response)
                if response.status != 200:
                    raise HookFailure(status_text(response.status, answer))
                return answer
        except TimeoutError as error:
            raise HookFailure(f"{shown}: context deadline exceeded") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise HookFailure(f"{shown}: {_reason(error)}") from error
        finally:
            pool.active -= 1

    async def close(self) -> None:
        """Close every connection."""
        pools, self._pools = list(self._pools.values()), OrderedDict()
        for pool in pools:
            await pool.session.close()
        await asyncio.gather(*self._closing)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def statistics(self) -> dict[str, int | float]:
        """Figures for /metrics."""
        return {"pools": len(self._pools), "calls_in_flight": sum(pool.active for pool in self._pools.values())}

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body, up to the bound."""
        limit = self._settings.max_response_bytes
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > limit:
                raise HookFailure(f"the answer of the webhook is longer than {limit} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    def _check_url(self, url: str, shown: str) -> None:
        """Refuse at once what names an address that is not allowed."""
        try:
            parts = urlsplit(url)
            port = parts.port or 443
        except ValueError as error:
            raise HookFailure(f"{shown}: {error}") from error
        if parts.scheme != "https" or not parts.hostname:
            raise HookFailure(f"{shown}: unsupported protocol scheme")
        try:
            ipaddress.ip_address(parts.hostname.partition("%")[0])
        except ValueError:
            return  # a name: judged when it is resolved
        if self._refuses(parts.hostname, port):
            raise HookFailure(f"{shown}: {NOT_ALLOWED}")

    def _refuses(self, address: str, port: int) -> bool:
        own = self._is_own(address)
        return (own and port == self._port) or self._policy.refuses(address, own=own)

    def _pool(self, vcp: VcpId, inside: InsideResolver) -> _Pool:
        found = self._pools.get(vcp)
        if found is not None:
            found.inside = inside
            self._pools.move_to_end(vcp)
            return found
        found = self._pools[vcp] = self._make_pool(inside)
        for other, pool in list(self._pools.items()):
            if len(self._pools) <= MAX_POOLS:
                break
            if not pool.active and other != vcp:
                del self._pools[other]
                self._discard(pool)
        return found

    def _discard(self, pool: _Pool) -> None:
        task = asyncio.ensure_future(pool.session.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _make_pool(self, inside: InsideResolver) -> _Pool:
        import aiohttp

        resolver = _make_resolver(self)
        connector = aiohttp.TCPConnector(
            resolver=resolver,
            use_dns_cache=False,  # Services move; connections are reused, so few lookups are made
            limit=self._settings.max_connections_per_vcp,
            keepalive_timeout=KEEP_ALIVE,
            socket_factory=self._socket,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            headers={"Content-Type": "application/json", "Accept": "application/json, */*", "User-Agent": USER_AGENT},
            skip_auto_headers=("Accept-Encoding",),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        pool = _Pool(session, inside)
        resolver.pool = pool
        return pool

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """The last gate: a socket is made only to an address that is allowed, and is used for that address alone."""
        family, kind, protocol, _, address = info
        if self._refuses(address[0], address[1]):
            raise _Refused(errno.EACCES, NOT_ALLOWED)
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    async def resolve(self, pool: _Pool, host: str, port: int) -> list[tuple[str, int]]:
        """Addresses of a name, the allowed ones only. Raises OSError when nothing is left."""
        inside = pool.inside(host, port)
        found = list(inside) if inside is not None else await self._look_up(pool, host, port)
        allowed = [place for place in found if not self._refuses(*place)]
        if found and not allowed:
            raise _Refused(errno.EACCES, NOT_ALLOWED)
        if not found:
            raise OSError(f"lookup {host}: no such host")
        return allowed

    async def _look_up(self, pool: _Pool, host: str, port: int) -> list[tuple[str, int]]:
        """Ask the system, for the absolute name: the search list of this machine is none of a control plane's business."""
        name = host.rstrip(".").lower()
        if name == "localhost" or name.endswith(".localhost"):  # RFC 6761
            return [("127.0.0.1", port), ("::1", port)]
        if "." not in name or self._policy.refuses_name(name):
            raise _Refused(errno.EACCES, f"lookup {name}: {NOT_ALLOWED}")
        if self._threads is None:
            self._threads = ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="lookup")
        loop = asyncio.get_running_loop()
        async with pool.lookups:
            try:
                infos = await loop.run_in_executor(self._threads, _addresses, name)
            except OSError as error:
                raise OSError(f"lookup {name}: no such host") from error
        return [(address, port) for address in infos]


#: What a refused address is told as: not which one it was.
NOT_ALLOWED: Final = "the address is not allowed by the server's outbound policy"


def _addresses(name: str) -> list[str]:
    infos = socket.getaddrinfo(name + ".", None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


def address_is_own(address: str) -> bool:
    """Whether an address is one of this machine: only such a one can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _make_resolver(outbound: Outbound) -> Any:
    """aiohttp's resolver for one pool."""
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Resolver(AbstractResolver):
        pool: _Pool

        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
            found = await outbound.resolve(self.pool, host, port)
            return [
                ResolveResult(hostname=host, host=address, port=its_port, family=family, proto=0, flags=socket.AI_NUMERICHOST)
                for address, its_port in found
            ]

        async def close(self) -> None:
            return None

    return Resolver()


@lru_cache(maxsize=256)
def tls_context(ca_bundle: bytes) -> ssl.SSLContext:
    """What a server's certificate is checked with: the bundle, or without one what the system trusts. Raises SSLError for a bad bundle.

    As in Go, every certificate in the bundle is an anchor, whether it signed itself or not, and only subjectAltName counts.
    """
    text = ca_bundle.strip()
    context = ssl.create_default_context(cadata=text.decode("ascii", "replace")) if text else ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _reason(error: Exception) -> str:
    """Why a request failed, in words that Go's client would use where they are known."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _Refused):
            return cause.strerror or NOT_ALLOWED
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_code"):  # aiohttp wraps it in one of the same type
            return f"tls: failed to verify certificate: x509: {_tls_reason(cause)}"
        if isinstance(cause, ssl.SSLError) and cause.__cause__ is None:
            return f"tls: {_tls_reason(cause)}"
        if isinstance(cause, ConnectionRefusedError):
            return "dial tcp: connect: connection refused"
        if isinstance(cause, OSError) and cause.errno in _DIAL_ERRORS:
            return f"dial tcp: connect: {_DIAL_ERRORS[cause.errno]}"
        cause = getattr(cause, "os_error", None) or cause.__cause__ or cause.__context__
    text = str(error) or type(error).__name__
    return "EOF" if "Server disconnected" in text else text[:_SHOWN_BODY]


_DIAL_ERRORS: Final[dict[int | None, str]] = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.ETIMEDOUT: "connection timed out",
    errno.ECONNRESET: "connection reset by peer",
}


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (18, 19, 20, 21):  # self-signed, or an issuer that nobody here knows
            return "certificate signed by unknown authority"
        return error.verify_message or str(error)
    return (error.reason or str(error)).lower().replace("_", " ")


#: Answers whose meaning client-go words in its own way.
_STATUS_TEXTS: Final[dict[int, str]] = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    403: "unknown",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    406: "the server was unable to respond with a content type that the client supports",
    409: "the server reported a conflict",
    415: "the server was unable to respond with a content type that the client supports",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}


def status_text(status: int, body: bytes) -> str:
    """What an answer other than 200 means, in the words of client-go."""
    if status in _STATUS_TEXTS:
        return _STATUS_TEXTS[status]
    if status >= 500:
        shown = body[:_SHOWN_BODY].decode("utf-8", "replace").strip() or "unknown"
        return f'an error on the server ("{shown}") has prevented the request from succeeding'
    return f"the server responded with the status code {status} but did not return more information"
