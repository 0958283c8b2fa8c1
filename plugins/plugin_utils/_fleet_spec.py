# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet declares: from the variables of a host to one VCP, checked and pure.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t
from datetime import datetime

from ansible_collections.kplane.core.plugins.module_utils import _contract, _vcp
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

Variables = t.Mapping[str, t.Any]

#: The group whose hosts are the VCPs of a fleet.
GROUP: t.Final = "kplane_vcps"
#: Set by the dynamic inventory: such a host says what is there, not what shall be.
FOUND_VARIABLE: t.Final = "kplane_vcp"

FLEET_LABEL: t.Final = "kplane.core/fleet"
SEED_ANNOTATION: t.Final = "kplane.core/seed"
#: After the hash of a seed: earlier ones have left objects behind that it no longer holds.
UNPRUNED: t.Final = ";unpruned"
CHARTS_ANNOTATION: t.Final = "kplane.core/charts"
TTL_ANNOTATION: t.Final = _contract.API_GROUP + "/ttl"
EXPIRES_ANNOTATION: t.Final = _contract.API_GROUP + "/expires"
STATE_ANNOTATION: t.Final = _contract.API_GROUP + "/state"
LIMITS_ANNOTATION: t.Final = _contract.API_GROUP + "/limits"
RESUME_ANNOTATION: t.Final = _contract.API_GROUP + "/resumeOnRequest"
PAUSED: t.Final = "paused"

#: Which host variable selects the management plane, and the option of the same meaning.
PLANE_VARIABLES: t.Final[dict[str, str]] = {
    "kplane_provider": "provider",
    "kplane_cluster_name": "cluster_name",
    "kplane_data_dir": "data_dir",
    "kplane_config_path": "config_path",
    "kplane_management_kubeconfig": "management_kubeconfig",
    "kplane_management_context": "management_context",
    "kplane_request_timeout": "request_timeout",
}
#: What the variables of a host say about its VCP.
VCP_VARIABLES: t.Final = (
    "kplane_name",
    "kplane_state",
    "kplane_class",
    "kplane_labels",
    "kplane_annotations",
    "kplane_deletion_policy",
    "kplane_ttl",
    "kplane_expires",
    "kplane_limits",
    "kplane_resume_on_request",
    "kplane_reattach",
    "kplane_credentials",
    "kplane_manifests",
)
STATES: t.Final = ("present", PAUSED, "absent")
LIMITS: t.Final = ("objects", "bytes", "requestsInFlight", "writesPerSecond")
_POLICIES = ("Retain", "Destroy")
_DURATION = re.compile(r"(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?")
_FLEET_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
#: Annotations and labels that the fleet itself writes, so that nobody declares them by hand.
_OWN = frozenset(
    {
        FLEET_LABEL,
        SEED_ANNOTATION,
        CHARTS_ANNOTATION,
        TTL_ANNOTATION,
        EXPIRES_ANNOTATION,
        STATE_ANNOTATION,
        LIMITS_ANNOTATION,
        RESUME_ANNOTATION,
    }
)
_MAX_LISTED = 5


class SecretTarget(t.NamedTuple):
    """A Secret of the management plane that receives a kubeconfig."""

    namespace: str
    name: str


class Handout(t.NamedTuple):
    """Where the credential of a VCP is handed out to."""

    directory: str = ""
    secret: SecretTarget | None = None


class Wanted(t.NamedTuple):
    """One VCP as the fleet declares it."""

    host: str
    declared: _vcp.Declared
    state: str = "present"
    handout: Handout = Handout()
    #: The manifests to seed, rendered; ``None`` if nothing was said about them.
    seed: tuple[dict[str, t.Any], ...] | None = None
    #: What only an embedded management plane can do, by the names of the variables.
    embedded_only: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the VCP."""
        return self.declared.name

    def over(self, now: float) -> bool:
        """Whether its end has come: then it is not made again."""
        end = (self.declared.annotations or {}).get(EXPIRES_ANNOTATION)
        return end is not None and datetime.fromisoformat(end.replace("Z", "+00:00")).timestamp() <= now

    @property
    def seed_hash(self) -> str:
        """What identifies the content of the seed; empty if there is none to apply."""
        return fingerprint(self.seed) if self.seed else ""


def fingerprint(documents: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """What identifies the content of rendered manifests, whatever order their keys have."""
    text = json.dumps(documents, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def check_fleet_name(name: str) -> str:
    """``name`` if it can be the value of a label; an error if not."""
    if not _FLEET_NAME.fullmatch(name):
        raise KplaneError(
            f"{name!r} is not a valid name of a fleet: it has 1 to 63 letters, digits, '-', '_' and '.', "
            "and starts and ends with a letter or digit"
        )
    return name


def text(variable: str, value: t.Any) -> str:
    """A scalar as text, booleans as Kubernetes writes them."""
    if isinstance(value, (dict, list)) or value is None:
        raise KplaneError(f"{variable} is not text")
    return str(value).lower() if isinstance(value, bool) else str(value)


def strings(variable: str, value: t.Any) -> dict[str, str | None]:
    """Labels or annotations: a mapping of text; ``None`` takes one away."""
    if value is None:
        return {}
    if not isinstance(value, t.Mapping):
        raise KplaneError(f"{variable} is not a mapping")
    taken = sorted(_OWN & {str(key) for key in value})
    if taken:
        raise KplaneError(f"{variable} declares {', '.join(taken)}, which the fleet itself keeps")
    return {str(key): None if item is None else text(f"{variable}[{key!r}]", item) for key, item in value.items()}


def duration(variable: str, value: t.Any) -> str:
    """A duration such as ``72h``, ``30m`` or ``7d12h``."""
    given = text(variable, value)
    if not given or not _DURATION.fullmatch(given) or not any(int(number) for number in re.findall(r"\d+", given)):
        raise KplaneError(f"{variable} is {given!r}, which is not a duration such as 72h, 30m or 7d")
    return given


def moment(variable: str, value: t.Any) -> str:
    """A time in RFC 3339, in UTC or with an offset."""
    given = value.isoformat() if isinstance(value, datetime) else text(variable, value)
    try:
        parsed = datetime.fromisoformat(given.replace("Z", "+00:00"))
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise KplaneError(f"{variable} is {given!r}, which is not a time such as 2026-12-31T18:00:00Z")
    return given


def limits(variable: str, value: t.Any) -> str:
    """Limits as they are written into the annotation."""
    if not isinstance(value, t.Mapping):
        raise KplaneError(f"{variable} is not a mapping")
    found = {}
    for key, item in value.items():
        if key not in LIMITS:
            raise KplaneError(f"{variable} has {key!r}; known are {', '.join(LIMITS)}")
        if isinstance(item, bool) or not re.fullmatch(r"[1-9]\d{0,17}", str(item)):
            raise KplaneError(f"{variable}[{key!r}] is not a positive whole number")
        found[str(key)] = int(item)
    return json.dumps(found, sort_keys=True, separators=(",", ":"))


def handout(value: t.Any, name: str, base: str) -> Handout:
    """Where the credential goes; a relative directory starts at ``base``."""
    if not value:
        return Handout()
    if not isinstance(value, t.Mapping) or not set(value) <= {"directory", "secret"}:
        raise KplaneError("kplane_credentials is not a mapping with directory, secret or both")
    secret = value.get("secret")
    target = None
    if secret:
        if not isinstance(secret, t.Mapping) or not secret.get("namespace") or not set(secret) <= {"namespace", "name"}:
            raise KplaneError("kplane_credentials.secret is not a mapping with a namespace and, if wanted, a name")
        target = SecretTarget(text("namespace", secret["namespace"]), text("name", secret.get("name") or f"{name}-kubeconfig"))
    if not value.get("directory"):
        return Handout("", target)
    return Handout(os.path.join(base, os.path.expanduser(text("kplane_credentials.directory", value["directory"]))), target)


def _choice(variable: str, value: t.Any, choices: t.Sequence[str]) -> str:
    if value not in choices:
        raise KplaneError(f"{variable} is {value!r}; it has to be one of {', '.join(choices)}")
    return str(value)


def wanted(host: str, variables: Variables, fleet: str, seed: t.Sequence[dict[str, t.Any]] | None = None, base: str = "") -> Wanted:
    """The VCP that the variables of ``host`` declare; ``seed`` are its manifests, rendered, and ``base`` is where relative paths start."""
    name = text("kplane_name", variables.get("kplane_name") or host.split(".", 1)[0])
    problem = _contract.vcp_name_problem(name)
    if problem:
        raise KplaneError(problem)
    state = _choice("kplane_state", variables.get("kplane_state") or "present", STATES)
    policy = variables.get("kplane_deletion_policy")
    annotations = strings("kplane_annotations", variables.get("kplane_annotations"))
    special = _special(variables, state)
    annotations.update(special)
    class_name, reattach = variables.get("kplane_class"), variables.get("kplane_reattach")
    declared = _vcp.Declared(
        name=name,
        class_name=text("kplane_class", class_name) if class_name is not None else None,
        deletion_policy=_choice("kplane_deletion_policy", policy, _POLICIES) if policy is not None else None,
        labels={**strings("kplane_labels", variables.get("kplane_labels")), FLEET_LABEL: fleet},
        annotations=annotations,
        reattach=text("kplane_reattach", reattach) if reattach is not None else None,
    )
    only = tuple(sorted(key.rsplit("/", 1)[1] for key, value in special.items() if value is not None))
    return Wanted(
        host, declared, state, handout(variables.get("kplane_credentials"), name, base), tuple(seed) if seed is not None else None, only
    )


def _special(variables: Variables, state: str) -> dict[str, str | None]:
    """The annotations that give a VCP a life of its own; what is not declared (any more) is taken away."""
    readers: tuple[tuple[str, str, t.Callable[[str, t.Any], str]], ...] = (
        ("kplane_ttl", TTL_ANNOTATION, duration),
        ("kplane_expires", EXPIRES_ANNOTATION, moment),
        ("kplane_limits", LIMITS_ANNOTATION, limits),
    )
    resume = variables.get("kplane_resume_on_request")
    if resume is not None and not isinstance(resume, bool):
        raise KplaneError("kplane_resume_on_request is neither true nor false")
    found: dict[str, str | None] = {STATE_ANNOTATION: PAUSED if state == PAUSED else None, RESUME_ANNOTATION: "true" if resume else None}
    for variable, annotation, read in readers:
        value = variables.get(variable)
        found[annotation] = read(variable, value) if value else None
    return found


def plane_options(variables: Variables) -> dict[str, t.Any]:
    """The options that say on which management plane a host's VCP lives."""
    return {option: variables[variable] for variable, option in PLANE_VARIABLES.items() if variables.get(variable) is not None}


def plane_key(options: t.Mapping[str, t.Any]) -> str:
    """What identifies a set of such options."""
    return json.dumps(options, sort_keys=True, default=str)


def check_unique(vcps: t.Sequence[Wanted]) -> None:
    """Refuse two hosts of one management plane that declare the same VCP."""
    hosts: dict[str, str] = {}
    for vcp in vcps:
        if vcp.name in hosts:
            raise KplaneError(f"The hosts {hosts[vcp.name]} and {vcp.host} declare the same VCP {vcp.name!r}; set kplane_name")
        hosts[vcp.name] = vcp.host


def summary_of(names: t.Sequence[str]) -> str:
    """A few names and how many more there are."""
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more
