# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to a port of a pod, through the API server: what ``kubectl port-forward`` does, over a WebSocket and in this process.

The protocol is ``v4.channel.k8s.io``: each message begins with a byte for its channel; data is 0, errors are 1, and the first message of
each channel is the number of the port. PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import functools
import io
import json
import ssl
import traceback
import typing as t
from urllib.parse import urlencode

from ansible_collections.kplane.core.plugins.module_utils._client import Client
from ansible_collections.kplane.core.plugins.module_utils._errors import ConnectionFailed, from_status
from ansible_collections.kplane.core.plugins.module_utils._stack_objects import PODS

try:
    import websocket
except ImportError:
    IMPORT_ERROR: str | None = traceback.format_exc()
else:
    IMPORT_ERROR = None

#: The library behind this file, for missing_required_lib.
LIBRARY: t.Final = "websocket-client >= 1.6"
_PROTOCOL: t.Final = "v4.channel.k8s.io"
_DATA: t.Final = b"\x00"
_ERRORS: t.Final = b"\x01"
_PIECE: t.Final = 32 * 1024
_MAX_REASON: t.Final = 4096


class Tunnel:
    """The bytes to and from one port of a pod."""

    def __init__(self, client: Client, namespace: str, pod: str, port: int, timeout: float) -> None:
        self._what = f"port {port} of the pod {namespace}/{pod} through {client.server}"
        self._opened: set[bytes] = set()
        path = PODS.path(pod, namespace) + "/portforward?" + urlencode({"ports": port})
        host, sock = client.dial(timeout)
        try:
            self._socket: t.Any = websocket.create_connection(
                f"{'wss' if isinstance(sock, ssl.SSLSocket) else 'ws'}://{host}{client.base}{path}",
                timeout=timeout,
                socket=sock,
                header=[f"{name}: {value}" for name, value in client.connection.headers.items()],
                subprotocols=[_PROTOCOL],
                suppress_origin=True,
            )
        except websocket.WebSocketBadStatusException as exc:
            sock.close()
            raise _refused(exc, self._what) from exc
        except (websocket.WebSocketException, OSError) as exc:
            sock.close()
            raise ConnectionFailed(f"Cannot reach {self._what}: {exc}") from exc

    def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        try:
            for start in range(0, len(data), _PIECE):
                self._socket.send_binary(_DATA + data[start : start + _PIECE])
        except (websocket.WebSocketException, OSError) as exc:
            raise ConnectionFailed(f"The connection to {self._what} broke: {exc}") from exc

    def receive(self) -> bytes:
        """The next piece; nothing when the other side has ended."""
        while True:
            try:
                opcode, message = self._socket.recv_data()
            except websocket.WebSocketConnectionClosedException:
                return b""
            except (websocket.WebSocketException, OSError) as exc:
                raise ConnectionFailed(f"The connection to {self._what} broke: {exc}") from exc
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return b""
            channel, content = message[:1], message[1:]
            if channel not in self._opened:
                self._opened.add(channel)  # the number of the port, which we know
            elif channel == _ERRORS:
                raise ConnectionFailed(f"Cannot reach {self._what}: {content[:_MAX_REASON].decode(errors='replace')}")
            elif content:
                return bytes(content)

    def close(self) -> None:
        """End the connection, without waiting for the other side."""
        self._socket.shutdown()


def _refused(exc: t.Any, what: str) -> Exception:
    """The error for an answer that is not the switch to a WebSocket."""
    try:
        status = json.loads(exc.resp_body or b"")
    except ValueError:
        status = None
    return from_status(int(exc.status_code), status if isinstance(status, dict) else None, f"{what} was refused with {exc.status_code}")


class TlsSocket(io.RawIOBase):
    """TLS through a tunnel, with as much of a socket as ``http.client`` asks for."""

    def __init__(self, tunnel: Tunnel, context: ssl.SSLContext, server_name: str) -> None:
        super().__init__()
        self._tunnel = tunnel
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._leaving, server_hostname=server_name)
        try:
            self._through(self._tls.do_handshake)
        except BaseException:
            self.close()
            raise

    def _through(self, step: t.Callable[[], t.Any]) -> t.Any:
        """Do one step of TLS, with everything that it wants to send and to receive."""
        while True:
            try:
                result = step()
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                piece = self._tunnel.receive()
                if piece:
                    self._arrived.write(piece)
                else:
                    self._arrived.write_eof()

    def _flush(self) -> None:
        leaving = self._leaving.read()
        if leaving:
            self._tunnel.send(leaving)

    def sendall(self, data: bytes) -> None:
        """As of a socket."""
        view, sent = memoryview(data), 0
        while sent < len(view):
            sent += self._through(functools.partial(self._tls.write, view[sent:]))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        try:
            return int(self._through(lambda: self._tls.read(len(buffer), buffer)))
        except ssl.SSLEOFError:
            return 0

    def makefile(self, mode: str) -> io.BufferedReader:
        """As of a socket."""
        return io.BufferedReader(_Unclosed(self))

    def close(self) -> None:
        self._tunnel.close()
        super().close()


class _Unclosed(io.RawIOBase):
    """The reading side for one answer; its end is not the end of the connection."""

    def __init__(self, source: TlsSocket) -> None:
        super().__init__()
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        return self._source.readinto(buffer)
