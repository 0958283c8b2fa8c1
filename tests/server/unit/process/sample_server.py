# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server as supervision sees one: it takes the directory, says where it is, answers /readyz, ends on SIGTERM; or behaves badly.

Arguments: the data directory, then words: ``deaf`` (ignores SIGTERM), ``unready`` (answers 503), ``slow`` (takes half a second),
``exit=N`` (fails with a message), ``crash`` (dies by a signal), ``silent`` (ends without a word).
"""

from __future__ import annotations

import os
import signal
import ssl
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from kplane_server.process import datadir, pki
from kplane_server.process.failures import ProcessError


def main(path: Path, words: list[str]) -> int:
    for word in words:
        if word.startswith("exit="):
            print("starting\nkplane-server: it went wrong", file=sys.stderr)
            return int(word[5:])
    if "silent" in words:
        return 1
    if "crash" in words:
        os.kill(os.getpid(), signal.SIGKILL)
    if "slow" in words:
        time.sleep(0.5)
    ready = 503 if "unready" in words else 200

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(ready)
            self.end_headers()

    with datadir.open(path) as opened:
        identity = pki.ensure(path, [], datetime.now(UTC))
        server = HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.cert_path, identity.key_path)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        if "deaf" in words:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        else:
            signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        port = server.server_port
        opened.announce(datadir.ServerState(f"https://127.0.0.1:{port}", "127.0.0.1", port, "0", "c", "k"))
        server.serve_forever(0.02)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
    except ProcessError as error:
        print(f"kplane-server: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
