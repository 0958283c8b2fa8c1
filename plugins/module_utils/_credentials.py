# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials of VCPs: from the Secret that the operator writes to a set of kubeconfig entries.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import base64
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _auth, _contract, _kubeconfig, _tokens, _vcp, _yaml
from ansible_collections.kplane.core.plugins.module_utils._client import Client, Json
from ansible_collections.kplane.core.plugins.module_utils._contract import CONTROL_PLANES, SECRETS
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, NotFound, WaitFailed
from ansible_collections.kplane.core.plugins.module_utils._kubeconfig_files import Snapshot
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Driver
from ansible_collections.kplane.core.plugins.module_utils._wait import describe

Document = _kubeconfig.Document


class VcpMissing(KplaneError):
    """There is no such VCP."""


class Offer(t.NamedTuple):
    """What the management plane has for a VCP: how its server is reached, and a credential."""

    cluster: Document
    user: Document

    @property
    def token(self) -> str:
        """The bearer token, or an empty string."""
        return str(self.user.get("token") or "")


class Policy(t.NamedTuple):
    """When to replace a credential that is there."""

    regenerate: str = "expired"
    renew_before: float | None = None
    duration: int | None = None


class Decision(t.NamedTuple):
    """The user entry to write, and why."""

    user: Document
    reason: str


def plane_entries(driver: Driver) -> _kubeconfig.EntrySet:
    """The entries that lead to a management plane as its administrator."""
    source = driver.kubeconfig()
    context = _kubeconfig.find(source.document, "contexts", source.context) or {}
    cluster = _kubeconfig.find(source.document, "clusters", str(context.get("cluster") or "")) or {}
    user = _kubeconfig.find(source.document, "users", str(context.get("user") or "")) or {}
    return _kubeconfig.EntrySet(source.context, cluster, user, driver.context)


def require_ours(snapshot: Snapshot, entries: t.Iterable[_kubeconfig.EntrySet]) -> None:
    """Refuse to replace entries of the same names that are not ours."""
    for entry in entries:
        problem = foreign(snapshot, entry)
        if problem:
            raise KplaneError(f"The kubeconfig was not changed: {problem}. Set overwrite to true to replace it.")


def secret_offer(client: Client, name: str) -> Offer:
    """The offer in the Secret of the VCP ``name``."""
    try:
        control_plane = client.get(CONTROL_PLANES, name)
    except NotFound as exc:
        raise VcpMissing(f"There is no virtual control plane {name!r} on {client.server}") from exc
    ready = _vcp.readiness(name, control_plane)
    if ready is not True:
        raise (
            ready
            if isinstance(ready, KplaneError)
            else WaitFailed(f"{name} is not ready, so it has no credential yet. {describe(control_plane)}")
        )
    reference = (control_plane.get("status") or {}).get("kubeconfigSecretRef") or {}
    namespace = str(reference.get("namespace") or _contract.vcp_namespace(name))
    secret_name = str(reference.get("name") or _contract.vcp_secret(name))
    try:
        secret = client.get(SECRETS, secret_name, namespace)
    except NotFound as exc:
        raise KplaneError(f"The Secret {namespace}/{secret_name} with the kubeconfig of {name!r} does not exist") from exc
    return parse_offer(secret, f"the Secret {namespace}/{secret_name}")


def parse_offer(secret: Json, source: str) -> Offer:
    """The offer in a Secret: its kubeconfig for clients outside, verified TLS or nothing."""
    encoded = (secret.get("data") or {}).get(_contract.EXTERNAL_KUBECONFIG_KEY)
    if not encoded:
        raise KplaneError(f"{source} has no key {_contract.EXTERNAL_KUBECONFIG_KEY!r}")
    document = _kubeconfig.check(_yaml.load(base64.b64decode(encoded), source), source)
    context = _kubeconfig.find(document, "contexts", _kubeconfig.current_context(document)) or {}
    cluster = _kubeconfig.find(document, "clusters", str(context.get("cluster") or ""))
    user = _kubeconfig.find(document, "users", str(context.get("user") or ""))
    if not cluster or not user or not cluster.get("server"):
        raise KplaneError(f"The kubeconfig in {source} lacks a current context with a cluster and a user")
    if cluster.get("insecure-skip-tls-verify"):
        raise KplaneError(f"The kubeconfig in {source} does not verify its server (insecure-skip-tls-verify), so it is not handed out")
    return Offer(cluster, user)


def usable(cluster: Document, user: Document, renew_before: float | None, timeout: float) -> str:
    """Why the credential ``user`` has to be replaced, or an empty string if it works and will for a while."""
    token = str(user.get("token") or "")
    if token and _tokens.lifetime(token).ends_within(renew_before):
        return "it ends soon or has ended"
    with Client(_auth.entry_connection(cluster, user), timeout) as client:
        return "" if _tokens.accepted(client) else "the server does not accept it"


def decide(
    offer: Offer, existing_cluster: Document | None, existing_user: Document | None, policy: Policy, timeout: float, dry_run: bool
) -> Decision:
    """The credential that the kubeconfig should hold."""
    if policy.regenerate == "always":
        return _renewed(offer, "a new one was asked for", policy, timeout, dry_run)
    if existing_user:
        if policy.regenerate == "never":
            return Decision(existing_user, "")
        same_server = existing_cluster is not None and existing_cluster.get("server") == offer.cluster.get("server")
        problem = usable(offer.cluster, existing_user, policy.renew_before, timeout) if same_server else "the server has another address"
        if not problem:
            return Decision(existing_user, "")
        reason = f"the credential was replaced because {problem}"
    else:
        reason = "there was none"
    spent = bool(offer.token) and _tokens.lifetime(offer.token).ends_within(policy.renew_before)
    if policy.duration is not None or spent:
        return _renewed(offer, reason, policy, timeout, dry_run)
    return Decision(offer.user, reason)


def _renewed(offer: Offer, reason: str, policy: Policy, timeout: float, dry_run: bool) -> Decision:
    """A credential that the VCP issues now, asked for with the one on offer."""
    if dry_run:
        return Decision({**offer.user, "token": "a new token"}, reason)
    with Client(_auth.entry_connection(offer.cluster, offer.user), timeout) as client:
        return Decision({"token": _tokens.request_token(client, policy.duration)}, reason)


def foreign(snapshot: Snapshot, entries: _kubeconfig.EntrySet) -> str:
    """Why an entry of that name must not be replaced without being told to, or an empty string."""
    context = snapshot.find("contexts", entries.name)
    if context is None:
        return ""
    owner = _kubeconfig.owner_of(context)
    if owner is not None:
        if owner.plane == entries.plane:
            return ""
        return f"the context {entries.name!r} belongs to the management plane {owner.plane!r}, not to {entries.plane!r}"
    cluster = snapshot.find("clusters", str(context.get("cluster") or "")) or {}
    if cluster.get("server") == entries.cluster.get("server"):
        return ""
    return f"the context {entries.name!r} was not written by kplane.core and leads to {cluster.get('server') or 'no server'}"
