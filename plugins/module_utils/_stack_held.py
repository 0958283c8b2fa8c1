# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Secret of the stack: its content, and what its annotations remember.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import base64
import hashlib
import json
import typing as t
from datetime import datetime, timezone

from ansible_collections.kplane.core.plugins.module_utils._contract import FIELD_MANAGER, MANAGED_BY_LABEL

Json = t.Dict[str, t.Any]
#: The content of one Secret, decoded.
Data = t.Dict[str, str]

#: On every Secret that a rotation made anew: which one. An interrupted rotation is completed, not begun again.
ROTATION_ANNOTATION: t.Final = "core.kplane.dev/rotation"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Held(t.NamedTuple):
    """One Secret: its content, and what its annotations remember."""

    data: Data
    annotations: dict[str, str]

    def marks(self) -> dict[str, str]:
        """The rotation that made it, for what follows it."""
        return {key: value for key, value in self.annotations.items() if key == ROTATION_ANNOTATION}


class Rotation(t.NamedTuple):
    """What is made anew, under a name that an interrupted rotation is known by."""

    name: str = ""
    what: tuple[str, ...] = ()

    def asks(self, what: str, found: Held) -> bool:
        """Whether a Secret has to be made anew because that was asked for, and is not done yet."""
        return what in self.what and found.annotations.get(ROTATION_ANNOTATION) != self.name

    def marks(self) -> dict[str, str]:
        """The annotations of a Secret that is made anew now."""
        return {ROTATION_ANNOTATION: self.name} if self.name else {}


def decode(secret: Json) -> Held:
    """The content of a Secret as the API gives it."""
    data = {key: base64.b64decode(value).decode(errors="replace") for key, value in (secret.get("data") or {}).items()}
    return Held(data, dict((secret.get("metadata") or {}).get("annotations") or {}))


def encode(name: str, namespace: str, held: Held) -> Json:
    """The manifest of a Secret, for server-side apply: no plain copy of it ends up in an annotation."""
    metadata: Json = {
        "name": name,
        "namespace": namespace,
        "labels": {MANAGED_BY_LABEL: FIELD_MANAGER, "app.kubernetes.io/part-of": "kplane"},
    }
    if held.annotations:
        metadata["annotations"] = held.annotations
    kind = "kubernetes.io/tls" if set(held.data) >= {"tls.crt", "tls.key"} else "Opaque"
    data = {key: base64.b64encode(value.encode()).decode() for key, value in sorted(held.data.items())}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": data}


def checksum(held: Held, keys: t.Iterable[str] | None = None) -> str:
    """A digest of what a workload mounts of a Secret."""
    shown = {key: value for key, value in held.data.items() if keys is None or key in keys}
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def time_text(moment: datetime) -> str:
    """A time as annotations and results have it."""
    return moment.strftime(_TIME)


def parse_time(text: str) -> datetime:
    """The time that :func:`time_text` wrote."""
    return datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc)
