# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the server itself: version, health, metrics."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from typing import Final

from kplane_server import __version__
from kplane_server.http.call import Answer, Call, Waits
from kplane_server.http.metrics import Metrics
from kplane_server.http.negotiation import require_json
from kplane_server.http.response import TEXT, Response, json_response
from kplane_server.http.routing import path_not_found
from kplane_server.settings import KUBERNETES_VERSION

#: A check says None when all is well, else why not.
Check = Callable[[], str | None]

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def version_document() -> dict[str, str]:
    """``/version``, as clients parse it: a semantic version whose build part says who answers."""
    major, minor, _ = KUBERNETES_VERSION.split(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": minor,
        "gitVersion": f"v{KUBERNETES_VERSION}+kplane.{__version__}",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation().lower(),
        "platform": f"{platform.system().lower()}/{_MACHINES.get(platform.machine(), platform.machine())}",
    }


_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


class ServerPaths:
    """The handlers of ``/version``, ``/livez``, ``/readyz``, ``/healthz`` and ``/metrics``.

    liveness and readiness: checks by name, in the order in which ``?verbose`` lists them.
    """

    def __init__(self, metrics: Metrics, liveness: Mapping[str, Check], readiness: Mapping[str, Check]) -> None:
        self._metrics = metrics
        self._checks = {"livez": dict(liveness), "readyz": dict(readiness), "healthz": dict(readiness)}
        self._version = version_document()

    def version(self, call: Call) -> Answer | Waits:
        require_json(call.incoming.header("accept"))
        return json_response(self._version)

    def health(self, call: Call) -> Answer | Waits:
        """``/readyz``, ``/readyz?verbose``, ``/readyz?exclude=x``, ``/readyz/<check>`` and the same for the others."""
        endpoint, _, single = call.request.path.strip("/").partition("/")
        checks = self._checks[endpoint]
        if single:
            if single not in checks:
                raise path_not_found()
            checks = {single: checks[single]}
        excluded = call.query.get("exclude", "")
        results = {name: None if name == excluded else check() for name, check in checks.items()}
        failed = [name for name, result in results.items() if result is not None]
        if not failed and "verbose" not in call.query:
            return Response(200, b"ok", TEXT)
        lines = [_line(name, result, excluded) for name, result in results.items()]
        lines.append(f"{endpoint} check {'failed' if failed else 'passed'}")
        return Response(500 if failed else 200, "\n".join([*lines, ""]).encode(), TEXT)

    def metrics(self, call: Call) -> Answer | Waits:
        """Of the whole server, so only where the whole server is administered: in root."""
        if not call.plane.is_root:
            raise path_not_found()
        return Response(200, self._metrics.render(), METRICS_TYPE)


def _line(name: str, result: str | None, excluded: str) -> str:
    """Reasons stay in the log; who may ask for health may be anybody."""
    if name == excluded:
        return f"[+]{name} excluded: ok"
    return f"[+]{name} ok" if result is None else f"[-]{name} failed: reason withheld"
