# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Secrets of a management plane on a real cluster: made once, kept, renewed before they end, rotated when asked.

Pure functions from the Secrets that are there to those that should be. PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets as random
import typing as t
from datetime import timedelta

from ansible_collections.kplane.core.plugins.module_utils import _pki, _stack_authorities, _yaml
from ansible_collections.kplane.core.plugins.module_utils._contract import (
    API_SERVICE,
    API_SERVICE_PORT,
    CA_SECRET,
)
from ansible_collections.kplane.core.plugins.module_utils._stack_held import Held, Rotation, parse_time, time_text

Json = t.Dict[str, t.Any]

ETCD_CA_SECRET: t.Final = "kplane-etcd-ca"
ETCD_SECRET: t.Final = "kplane-etcd-tls"
ETCD_CLIENT_SECRET: t.Final = "kplane-etcd-client"
API_TLS_SECRET: t.Final = "kplane-apiserver-tls"
KUBELET_SECRET: t.Final = "kplane-kubelet-client"
SIGNING_SECRET: t.Final = "apiserver-serviceaccount-keys"
TOKEN_SECRET: t.Final = "apiserver-token-auth"
KUBECONFIG_SECRET: t.Final = "apiserver-kubeconfig"

ROTATE_CERTIFICATES: t.Final = "certificates"
ROTATE_KEYS: t.Final = "service-account-keys"
ROTATE_TOKEN: t.Final = "administrator-token"
ROTATABLE: t.Final = (ROTATE_CERTIFICATES, _stack_authorities.ROTATE_AUTHORITIES, ROTATE_KEYS, ROTATE_TOKEN)

#: On the Secret of signing keys: since when each earlier key signs no more, by its fingerprint.
RETIRED_ANNOTATION: t.Final = "core.kplane.dev/retired"
_ADMIN = "kplane-admin"
_PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----\n?", re.DOTALL)
#: The authorities: what they are called in their certificates.
_AUTHORITIES: t.Final = ((CA_SECRET, "kplane"), (ETCD_CA_SECRET, "kplane-etcd"))


class Wanted(t.NamedTuple):
    """What the Secrets depend on."""

    namespace: str
    #: Names and addresses that clients reach the shared API server by, besides those inside the cluster.
    names: tuple[str, ...]
    etcd_replicas: int = 1
    #: The DNS domain of the cluster.
    domain: str = "cluster.local"
    rotation: Rotation = Rotation()
    renew_before: timedelta = timedelta(days=60)
    key_overlap: timedelta = timedelta(days=7)
    #: How long who has a kubeconfig has time to fetch it again when the authority is replaced.
    ca_overlap: timedelta = timedelta(days=30)
    #: Whether every part of the stack serves with what the Secrets hold now.
    settled: bool = False

    def policy(self, name: str) -> _stack_authorities.Policy:
        """What decides about an authority. Only the stack itself trusts that of etcd, so nobody has to be waited for."""
        overlap = timedelta(0) if name == ETCD_CA_SECRET else self.ca_overlap
        return _stack_authorities.Policy(self.rotation, self.renew_before, overlap, self.settled)


class Outcome(t.NamedTuple):
    """The Secrets as they should be, and why those that differ do."""

    held: dict[str, Held]
    reasons: dict[str, str]
    #: Whether there is more to do as soon as everything serves with these.
    more: bool = False


def service_names(service: str, wanted: Wanted) -> list[str]:
    """The names of a Service inside the cluster, the whole one last."""
    inside = f"{service}.{wanted.namespace}"
    return [service, inside, f"{inside}.svc", f"{inside}.svc.{wanted.domain}"]


def _leaves(wanted: Wanted) -> dict[str, tuple[str, _pki.Leaf, tuple[str, str]]]:
    """Each certificate: the Secret of its authority, what it says, and the keys it is kept under."""
    local = ["localhost", "127.0.0.1", "::1"]
    api = [*local, *service_names(API_SERVICE, wanted), *wanted.names]
    peers = service_names("kplane-etcd-peers", wanted)
    members = [f"kplane-etcd-{index}.{peers[-1]}" for index in range(wanted.etcd_replicas)]
    etcd = [*local, *service_names("kplane-etcd", wanted), *peers, *members]
    tls = ("tls.crt", "tls.key")
    return {
        API_TLS_SECRET: (CA_SECRET, _pki.Leaf(API_SERVICE, tuple(dict.fromkeys(api)), server=True), tls),
        # It is nobody in particular: no group of it opens anything.
        KUBELET_SECRET: (CA_SECRET, _pki.Leaf("kplane-kubelet-client", client=True), ("client.crt", "client.key")),
        ETCD_SECRET: (ETCD_CA_SECRET, _pki.Leaf("kplane-etcd", tuple(dict.fromkeys(etcd)), server=True, client=True), tls),
        ETCD_CLIENT_SECRET: (ETCD_CA_SECRET, _pki.Leaf("kplane-apiserver", client=True), tls),
    }


NAMES: t.Final = (
    CA_SECRET,
    ETCD_CA_SECRET,
    API_TLS_SECRET,
    KUBELET_SECRET,
    ETCD_SECRET,
    ETCD_CLIENT_SECRET,
    SIGNING_SECRET,
    TOKEN_SECRET,
    KUBECONFIG_SECRET,
)


def settle(existing: t.Mapping[str, Held], wanted: Wanted) -> Outcome:
    """The Secrets as they should be: what is there and good stays."""
    held: dict[str, Held] = {}
    reasons: dict[str, str] = {}
    more = [_authority(name, common_name, existing.get(name), wanted, held, reasons) for name, common_name in _AUTHORITIES]
    for name, (authority, leaf, keys) in _leaves(wanted).items():
        _certificate(name, held[authority], leaf, keys, existing.get(name), wanted, held, reasons)
    _signing_keys(existing.get(SIGNING_SECRET), wanted, held, reasons)
    _token(existing.get(TOKEN_SECRET), wanted, held, reasons)
    _kubeconfig(existing.get(KUBECONFIG_SECRET), wanted, held, reasons)
    return Outcome(held, reasons, any(more))


def _authority(name: str, common_name: str, found: Held | None, wanted: Wanted, held: dict[str, Held], reasons: dict[str, str]) -> bool:
    if found is None:
        held[name], reasons[name] = _stack_authorities.make(common_name), "there was none"
        return False
    step = _stack_authorities.step(name, common_name, found, wanted.policy(name))
    held[name] = step.held
    if step.reason:
        reasons[name] = step.reason
    return step.more


def _certificate(
    name: str,
    authority: Held,
    leaf: _pki.Leaf,
    keys: tuple[str, str],
    found: Held | None,
    wanted: Wanted,
    held: dict[str, Held],
    reasons: dict[str, str],
) -> None:
    ca, trusted = _stack_authorities.signing(authority), authority.data["ca.crt"]
    if found is None or not found.data.get(keys[0]) or not found.data.get(keys[1]):
        reason = "there was none"
    elif wanted.rotation.asks(ROTATE_CERTIFICATES, found):
        reason = "a new one was asked for"
    else:
        reason = _pki.leaf_problem(found.data[keys[0]], ca.public, leaf, wanted.renew_before)
    if not reason and found is not None:
        held[name] = found
        if found.data.get("ca.crt", trusted) != trusted:
            held[name], reasons[name] = Held({**found.data, "ca.crt": trusted}, found.marks()), "it trusts other authorities"
        return
    made = _pki.make_leaf(ca, leaf)
    data = {keys[0]: made.public, keys[1]: made.private}
    if keys[0] == "tls.crt":
        data["ca.crt"] = trusted
    held[name], reasons[name] = Held(data, wanted.rotation.marks()), reason


def fingerprint(public: str) -> str:
    """A short name for a public key."""
    return hashlib.sha256("".join(public.split()).encode()).hexdigest()[:16]


def _signing_keys(found: Held | None, wanted: Wanted, held: dict[str, Held], reasons: dict[str, str]) -> None:
    """The key that signs is the first one; earlier ones verify until what they signed has ended."""
    now = _pki.now()
    if found is None or not found.data.get("sa.key") or not found.data.get("sa.pub"):
        made = _pki.make_signing_key()
        held[SIGNING_SECRET], reasons[SIGNING_SECRET] = Held({"sa.key": made.private, "sa.pub": made.public}, {}), "there was none"
        return
    publics = _PUBLIC_KEY.findall(found.data["sa.pub"])
    retired = {str(key): str(value) for key, value in json.loads(found.annotations.get(RETIRED_ANNOTATION) or "{}").items()}
    reason, private = "", found.data["sa.key"]
    marks = found.marks()
    if wanted.rotation.asks(ROTATE_KEYS, found):
        marks = wanted.rotation.marks()
        made = _pki.make_signing_key()
        retired[fingerprint(publics[0])] = time_text(now)
        publics, private, reason = [made.public, *publics], made.private, "a new one was asked for"
    spent = {name for name, since in retired.items() if parse_time(since) + wanted.key_overlap <= now}
    if spent:
        publics = [public for public in publics if fingerprint(public) not in spent]
        retired = {name: since for name, since in retired.items() if name not in spent}
        reason = reason or "the overlap of earlier keys is over"
    if not reason:
        held[SIGNING_SECRET] = found
        return
    annotations = {**marks, **({RETIRED_ANNOTATION: json.dumps(retired, sort_keys=True)} if retired else {})}
    held[SIGNING_SECRET], reasons[SIGNING_SECRET] = Held({"sa.key": private, "sa.pub": "".join(publics)}, annotations), reason


def _token(found: Held | None, wanted: Wanted, held: dict[str, Held], reasons: dict[str, str]) -> None:
    if found is not None and found.data.get("token.csv") and not wanted.rotation.asks(ROTATE_TOKEN, found):
        held[TOKEN_SECRET] = found
        return
    reasons[TOKEN_SECRET] = "a new one was asked for" if found is not None and found.data.get("token.csv") else "there was none"
    held[TOKEN_SECRET] = Held({"token.csv": f"{random.token_hex(32)},{_ADMIN},1,system:masters\n"}, wanted.rotation.marks())


def admin_token(held: Held) -> str:
    """The administrator's token."""
    return held.data["token.csv"].split(",", 1)[0].strip().strip('"')


def _kubeconfig(found: Held | None, wanted: Wanted, held: dict[str, Held], reasons: dict[str, str]) -> None:
    """What the operator reaches the shared API server by: verified by the CA."""
    cluster = {
        "server": f"https://{service_names(API_SERVICE, wanted)[-1]}:{API_SERVICE_PORT}",
        "certificate-authority-data": base64.b64encode(held[CA_SECRET].data["ca.crt"].encode()).decode(),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": API_SERVICE, "cluster": cluster}],
        "users": [{"name": _ADMIN, "user": {"token": admin_token(held[TOKEN_SECRET])}}],
        "contexts": [{"name": API_SERVICE, "context": {"cluster": API_SERVICE, "user": _ADMIN}}],
        "current-context": API_SERVICE,
    }
    text = _yaml.dump(document).decode()
    if found is not None and found.data.get("kubeconfig") == text:
        held[KUBECONFIG_SECRET] = found
        return
    reasons[KUBECONFIG_SECRET] = "there was none" if found is None else "it follows the token and the authority"
    held[KUBECONFIG_SECRET] = Held({"kubeconfig": text}, {})


def certificates(held: t.Mapping[str, Held]) -> list[Json]:
    """When each certificate ends; an authority that is being replaced has two."""
    found = []
    for name, entry in sorted(held.items()):
        for key, value in sorted(entry.data.items()):
            if key in ("ca.crt", "tls.crt", "client.crt") and not (key == "ca.crt" and "tls.crt" in entry.data):
                found += [{"secret": name, "key": key, "ends": time_text(_pki.ends(text))} for text in _pki.split(value)]
    return found


def awaited(held: t.Mapping[str, Held], wanted: Wanted) -> list[Json]:
    """The authorities that are being replaced, and when the next one begins to sign."""
    times = {name: _stack_authorities.awaited(held[name], wanted.policy(name)) for name, _common_name in _AUTHORITIES}
    return [{"secret": name, "signs_from": moment} for name, moment in times.items() if moment]


def secret_values(held: t.Mapping[str, Held]) -> set[str]:
    """Every secret leaf, for the list of strings that Ansible must never print."""
    return {value for entry in held.values() for key, value in entry.data.items() if not key.endswith((".crt", ".pub"))}
