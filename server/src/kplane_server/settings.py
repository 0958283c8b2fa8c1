# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything about a server that its owner may choose, as frozen values. Parsed once, in ``__main__``; rooms get the section they need."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

#: The port of the contract; the collection takes the next free one when it is busy.
DEFAULT_PORT: Final = 8443
#: The name of the management plane in contexts of kubeconfig files.
DEFAULT_CLUSTER_NAME: Final = "kplane-management"
#: What the API claims to be: the built-in resources are generated from this release.
KUBERNETES_VERSION: Final = "1.34.2"

KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where the server listens, and how clients reach it."""

    host: str = "127.0.0.1"
    """The address to listen on; ``0.0.0.0`` or ``::`` for all."""
    port: int = DEFAULT_PORT
    """The TCP port to listen on."""
    advertise_addresses: tuple[str, ...] = ()
    """More host names and addresses that clients use; the serving certificate names them, the first one is in kubeconfig files."""

    @property
    def advertised_host(self) -> str:
        """The host that kubeconfig files and token issuers name."""
        if self.advertise_addresses:
            return self.advertise_addresses[0]
        return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)

    @property
    def base_url(self) -> str:
        """``https://host:port`` of the root control plane; a VCP's is this plus ``/clusters/<name>/control-plane``."""
        host = self.advertised_host
        return f"https://[{host}]:{self.port}" if ":" in host else f"https://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Bounds on what comes from outside. Every one has a reason; none is infinite."""

    max_body_bytes: int = 3 * MIB
    """The largest request body; the figure of kube-apiserver."""
    max_path_length: int = 4096
    """The longest path, in characters: two names of 253, a group, a VCP and words between fit many times."""
    max_query_length: int = 64 * KIB
    """The longest query string, in characters: selectors and continue tokens live there."""
    max_header_bytes: int = 64 * KIB
    """The largest header section: a bearer token of a few KiB and impersonation headers fit."""
    max_json_depth: int = 256
    """The deepest nesting of a document; a CRD of a CRD stays under 100."""
    request_timeout: float = 60.0
    """Seconds until a request that is no watch is answered 504; the figure of kube-apiserver."""
    max_in_flight: int = 1000
    """Requests being worked on at once (reads are answered at once and hardly count); beyond it 429."""
    max_in_flight_per_vcp: int = 300
    """The same for one VCP, so that a noisy one leaves room for the others."""
    max_queued_writes_per_vcp: int = 200
    """Writes of one VCP that wait for the disk; beyond it 429. Those of different VCPs take turns."""
    max_watches: int = 20_000
    """Watch streams open at once; each costs some 40 KiB."""
    max_watches_per_vcp: int = 4_000
    """The same for one VCP."""
    min_watch_timeout: float = 1800.0
    """A watch without ``timeoutSeconds`` ends after a random time between this and twice this, as upstream's."""
    usage_interval: float = 30.0
    """Seconds from a change in a VCP until ``status.usage`` of its ControlPlane says so."""
    bookmark_interval: float = 60.0
    """Seconds between bookmarks of a watch that asked for them."""
    gzip_threshold: int = 128 * KIB
    """Answers from this size on are compressed for clients that accept it; the figure of kube-apiserver."""
    max_connections: int = 32_768
    """TCP connections served at once."""


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """How data is kept."""

    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    """``FULL``: an acknowledged write survives power loss. ``NORMAL``: it survives a crash of the process only, and writes are faster."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and where."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is logged."""
    file: Path | None = None
    """Append to this file instead of standard error."""


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """The audit log; off by default."""

    log: Path | None = None
    """The file; one JSON line an event."""
    policy: Path | None = None
    """What is told: a file of audit.k8s.io/v1. Without one everything at level Metadata, once it is answered."""
    max_bytes: int = 100 * MIB
    """The size at which the file is rotated."""
    backups: int = 10
    """How many rotated files are kept."""


@dataclass(frozen=True, slots=True)
class OutboundSettings:
    """Where the server connects to on behalf of its control planes: admission and conversion webhooks.

    Those who run a VCP choose the addresses, so by default none of them reaches loopback, link-local (cloud metadata), multicast,
    unspecified or reserved addresses, any address of this machine, or a name of this machine's own network: names are looked up as
    absolute ones, those that end with ``.svc`` inside the VCP alone. The server's own port is refused whatever is allowed here.
    """

    allow: tuple[str, ...] = ()
    """Exceptions from what is refused: addresses, networks (``127.0.0.0/8``), or groups of them (``loopback``, ``link-local``, ``own``)."""
    deny: tuple[str, ...] = ()
    """More that is refused: addresses, networks, the group ``private``, or domain names with all that is below them."""
    connect_timeout: float = 5.0
    """Seconds until a connection must be there, TLS included."""
    max_response_bytes: int = 8 * MIB
    """The longest answer of a webhook; a patch of the largest object, in base64, fits."""
    max_connections_per_vcp: int = 32
    """Calls under way at once for one VCP; more wait within their time limit."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole server."""

    data_dir: Path
    """Everything that must survive a restart lives here; mode 0700."""
    cluster_name: str = DEFAULT_CLUSTER_NAME
    """The name of the management plane in the administrator's kubeconfig."""
    root_name: str = "root"
    """Another name of the root control plane, beside ``root``: it is served below ``/clusters/<name>/control-plane`` too."""
    listen: ListenSettings = field(default_factory=ListenSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    log: LogSettings = field(default_factory=LogSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    outbound: OutboundSettings = field(default_factory=OutboundSettings)
    parent_pid: int | None = None
    """Stop when this process is gone: for tests and tools that start a server of their own."""
    admin_kubeconfig: Path | None = None
    """Where the root administrator's kubeconfig is written (0600); default ``admin.kubeconfig`` in the data directory."""

    @property
    def admin_kubeconfig_path(self) -> Path:
        return self.admin_kubeconfig or self.data_dir / "admin.kubeconfig"
