# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the generators share: where the Kubernetes sources are, which group versions are served, how data is written.

Run a generator with the Go module in place (``go mod download k8s.io/kubernetes@v1.34.2``):
``python server/tools/generate_catalog.py``. Each writes to ``server/src/kplane_server/registry/data``.
"""

from __future__ import annotations

import json
import lzma
import os
import subprocess
from pathlib import Path
from typing import Any

VERSION = "1.34.2"
DATA = Path(__file__).resolve().parent.parent / "src" / "kplane_server" / "registry" / "data"

#: Off by default in 1.34: alpha, and (since 1.24, KEP-3136) every beta group version.
EXCLUDED_GROUPS = frozenset({"internal.apiserver.k8s.io", "storagemigration.k8s.io"})

#: What is served of group versions that are off by default, as with ``--runtime-config`` and the feature gate of the same name:
#: MutatingAdmissionPolicy (KEP-3962) is a beta in 1.34. A group version that is named here has only the resources that are named here.
SERVED_BETAS = {("admissionregistration.k8s.io", "v1beta1"): ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")}


def sources() -> Path:
    """The module's folder in the Go module cache, or ``KUBERNETES_SOURCE``."""
    if given := os.environ.get("KUBERNETES_SOURCE"):
        return Path(given)
    cache = subprocess.run(["go", "env", "GOMODCACHE"], check=True, capture_output=True, text=True).stdout.strip()
    return Path(cache) / "k8s.io" / f"kubernetes@v{VERSION}"


def served(group: str, version: str) -> bool:
    """Whether a group version is on: generally available in a group that is not off by default, or one of :data:`SERVED_BETAS`."""
    if (group, version) in SERVED_BETAS:
        return True
    return group not in EXCLUDED_GROUPS and "alpha" not in version and "beta" not in version


def group_versions(root: Path) -> list[tuple[str, str]]:
    """The served (group, version) pairs: core first, then in the order of ``/apis``, preferred versions first."""
    groups = json.loads((root / "api/discovery/apis.json").read_text())["groups"]
    pairs = [("", "v1")]
    for group in groups:
        preferred = group["preferredVersion"]["version"]
        versions = sorted((v["version"] for v in group["versions"]), key=lambda version: version != preferred)
        pairs += [(group["name"], version) for version in versions if served(group["name"], version)]
    return pairs


def serves(group: str, version: str, resource: str) -> bool:
    """Whether a resource of a served group version is served: of a beta only what is named."""
    return resource in SERVED_BETAS.get((group, version), (resource,))


def file_stem(group: str, version: str) -> str:
    """The stem of a group version's files in ``api/discovery`` and ``api/openapi-spec/v3``."""
    return f"apis__{group}__{version}" if group else f"api__{version}"


def compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def write_xz(name: str, content: bytes) -> None:
    """Write a compressed data file, reproducibly."""
    packed = lzma.compress(content, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=9 | lzma.PRESET_EXTREME)
    (DATA / name).write_bytes(packed)
    print(f"{name}: {len(content)} bytes, {len(packed)} packed")
