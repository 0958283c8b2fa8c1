# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of configuration, access and storage: ConfigMaps, Secrets, RBAC, volumes and claims, classes, quotas, priorities."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import orjson

from kplane_server.model import metadata
from kplane_server.model.errors import Cause, Forbidden, Json, field_forbidden, field_invalid, field_not_supported, field_required
from kplane_server.model.keys import ResourceId
from kplane_server.model.quantity import parse_quantity
from kplane_server.registry.strategies.base import Document, StrategyContext
from kplane_server.registry.strategies.checks import Object, config_key, join, objects, section, too_long

#: Of all values of a ConfigMap or Secret together.
MAX_DATA_BYTES: Final = 1024 * 1024
_RBAC_GROUP: Final = "rbac.authorization.k8s.io"
_FROZEN: Final = "field is immutable when `immutable` is set"
_MAX_USER_PRIORITY: Final = 1_000_000_000
_REDACTED: Final = "<secret contents redacted>"


# -- configmaps and secrets ----------------------------------------------------------------------------------------------------------
def _decoded(text: Json) -> bytes:
    """The bytes of a base64 text; what is not one was refused as undecodable before."""
    return b64decode(text) if isinstance(text, str) else b""


def _keys(table: Object, path: str) -> Iterator[Cause]:
    for key in table:
        for problem in config_key(key):
            yield field_invalid(f"{path}[{key}]", key, problem)


def config_map(obj: Object, path: str) -> Iterator[Cause]:
    data, binary = section(obj, "data"), section(obj, "binaryData")
    yield from _keys(data, "data")
    size = sum([len(str(value).encode()) for value in data.values()])
    if binary:
        yield from _keys(binary, "binaryData")
        for key in data.keys() & binary.keys():
            yield field_invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
        size += sum([len(_decoded(value)) for value in binary.values()])
    if size > MAX_DATA_BYTES:
        yield too_long("", MAX_DATA_BYTES)


def secret(obj: Object, path: str) -> Iterator[Cause]:
    data = section(obj, "data")
    yield from _keys(data, "data")
    if sum(len(_decoded(value)) for value in data.values()) > MAX_DATA_BYTES:
        yield too_long("data", MAX_DATA_BYTES)
    yield from _secret_of_type(obj.get("type"), data)


#: Secret type → keys that it must have.
_SECRET_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def _secret_of_type(kind: Json, data: Object) -> Iterator[Cause]:
    if kind == "kubernetes.io/basic-auth" and "username" not in data and "password" not in data:
        yield from (field_required(f"data[{key}]") for key in ("username", "password"))
    for key in _SECRET_KEYS.get(str(kind), ()):
        if key not in data or (kind == "kubernetes.io/ssh-auth" and not data[key]):
            yield field_required(f"data[{key}]")
        elif key.startswith(".docker"):
            try:
                document = orjson.loads(_decoded(data[key]))
            except orjson.JSONDecodeError as error:
                yield field_invalid(f"data[{key}]", _REDACTED, str(error).split(":")[0])
                continue
            if not isinstance(document, dict):
                yield field_invalid(f"data[{key}]", _REDACTED, "must be a JSON object")


def secret_create(obj: Document, ctx: StrategyContext) -> list[Cause]:
    account = "kubernetes.io/service-account.name"
    if obj.get("type") == "kubernetes.io/service-account-token" and not section(obj, "metadata", "annotations").get(account):
        return [field_required(f"metadata.annotations[{account}]")]
    return []


def secret_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    causes = secret_create(new, ctx)
    if new.get("type") != old.get("type"):
        causes.append(field_invalid("type", new.get("type"), "field is immutable"))
    return causes + _frozen(new, old, "data")


def config_map_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    return _frozen(new, old, "data", "binaryData")


def _frozen(new: Document, old: Document, *fields: str) -> list[Cause]:
    if old.get("immutable") is not True:
        return []
    causes = [field_forbidden("immutable", _FROZEN)] if new.get("immutable") is not True else []
    return causes + [field_forbidden(f, _FROZEN) for f in fields if (new.get(f) or {}) != (old.get(f) or {})]


# -- access --------------------------------------------------------------------------------------------------------------------------
def _rules(obj: Object, path: str, namespaced: bool) -> Iterator[Cause]:
    for index, rule in enumerate(objects(obj, "rules")):
        at = f"{join(path, 'rules')}[{index}]"
        if not rule.get("verbs"):
            yield field_required(join(at, "verbs"), "verbs must contain at least one value")
        urls, groups, resources = rule.get("nonResourceURLs"), rule.get("apiGroups"), rule.get("resources")
        if urls:
            if namespaced:
                yield field_invalid(join(at, "nonResourceURLs"), urls, "namespaced rules cannot apply to non-resource URLs")
            if groups or resources or rule.get("resourceNames"):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                yield field_invalid(join(at, "nonResourceURLs"), urls, why)
            continue
        if not groups:
            yield field_required(join(at, "apiGroups"), "resource rules must supply at least one api group")
        if not resources:
            yield field_required(join(at, "resources"), "resource rules must supply at least one resource")


def role(obj: Object, path: str) -> Iterator[Cause]:
    yield from _rules(obj, path, True)


def cluster_role(obj: Object, path: str) -> Iterator[Cause]:
    yield from _rules(obj, path, False)
    if obj.get("aggregationRule") is not None and not section(obj, "aggregationRule").get("clusterRoleSelectors"):
        why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        yield field_required("aggregationRule.clusterRoleSelectors", why)


def _binding(obj: Object, kinds: list[str]) -> Iterator[Cause]:
    reference = section(obj, "roleRef")
    if not reference:
        yield field_not_supported("roleRef.kind", "", kinds)
        yield field_required("roleRef.name")
        return
    if reference.get("apiGroup") != _RBAC_GROUP:
        yield field_not_supported("roleRef.apiGroup", reference.get("apiGroup") or "", [_RBAC_GROUP])
    if reference.get("kind") and reference["kind"] not in kinds:
        yield field_not_supported("roleRef.kind", reference["kind"], kinds)


def role_binding(obj: Object, path: str) -> Iterator[Cause]:
    yield from _binding(obj, ["Role", "ClusterRole"])


def cluster_role_binding(obj: Object, path: str) -> Iterator[Cause]:
    yield from _binding(obj, ["ClusterRole"])
    for index, entry in enumerate(objects(obj, "subjects")):
        if entry.get("kind") == "ServiceAccount" and not entry.get("namespace"):
            yield field_required(f"subjects[{index}].namespace")


def subject(obj: Object, path: str) -> Iterator[Cause]:
    kind, group = obj.get("kind") or "", obj.get("apiGroup") or ""
    if kind == "ServiceAccount":
        if obj.get("name"):
            yield from (field_invalid(join(path, "name"), obj["name"], p) for p in metadata.dns1123_subdomain_problems(obj["name"]))
        if group:
            yield field_not_supported(join(path, "apiGroup"), group, [""])
    elif kind in ("User", "Group"):
        if group != _RBAC_GROUP:
            yield field_not_supported(join(path, "apiGroup"), group, [_RBAC_GROUP])
    else:
        yield field_not_supported(join(path, "kind"), kind, ["ServiceAccount", "User", "Group"])


def binding_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    if new.get("roleRef") == old.get("roleRef"):
        return []
    return [field_invalid("roleRef", new.get("roleRef"), "cannot change roleRef")]


# -- volumes -------------------------------------------------------------------------------------------------------------------------
#: Fields of a volume's spec that are no volume source.
_NOT_SOURCES: Final = frozenset(
    {
        "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy", "storageClassName",
        "volumeAttributesClassName", "volumeMode",
    }
)  # fmt: skip


def _sources(spec: Object) -> dict[str, Json]:
    return {field: value for field, value in spec.items() if field not in _NOT_SOURCES and value is not None}


def volume_spec(obj: Object, path: str) -> Iterator[Cause]:
    sources = list(_sources(obj))
    if not sources:
        yield field_required(path, "must specify a volume type")
    yield from (field_forbidden(join(path, field), "may not specify more than 1 volume type") for field in sources[1:])
    capacity = section(obj, "capacity")
    if capacity and set(capacity) != {"storage"}:
        yield field_not_supported(join(path, "capacity"), sorted(capacity)[0], ["storage"])
    if (amount := _amount(capacity.get("storage"))) is not None and amount <= 0:
        yield field_invalid(f"{join(path, 'capacity')}[storage]", capacity["storage"], "must be greater than zero")
    yield from _modes(obj, path)


def _amount(value: Json) -> Decimal | None:
    """The amount of a quantity; None for what is missing, or is none (which is said elsewhere)."""
    try:
        return parse_quantity(value) if value is not None else None
    except (ValueError, TypeError):
        return None


def _modes(obj: Object, path: str) -> Iterator[Cause]:
    modes = obj.get("accessModes") or []
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        yield field_forbidden(join(path, "accessModes"), "may not use ReadWriteOncePod with other access modes")


def volume_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    spec, before = section(new, "spec"), section(old, "spec")
    causes = []
    if _sources(spec) != _sources(before) and "csi" not in _sources(before):
        why = "spec.persistentvolumesource is immutable after creation"
        causes.append(field_forbidden("spec.persistentvolumesource", why))
    if spec.get("volumeMode") != before.get("volumeMode"):
        causes.append(field_invalid("spec.volumeMode", spec.get("volumeMode"), "field is immutable"))
    if before.get("nodeAffinity") is not None and spec.get("nodeAffinity") != before["nodeAffinity"]:
        why = "field is immutable, except for updating from beta label to GA"
        causes.append(field_invalid("spec.nodeAffinity", spec.get("nodeAffinity"), why))
    return causes


def claim_spec(obj: Object, path: str) -> Iterator[Cause]:
    storage, at = section(obj, "resources", "requests").get("storage"), join(path, "resources") + "[storage]"
    if storage is None:
        yield field_required(at)
    elif (amount := _amount(storage)) is not None and amount <= 0:
        yield field_invalid(at, storage, "must be greater than zero")
    yield from _modes(obj, path)


def claim_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    """A claim is settled once; a bound one may grow, and change its attributes class."""
    spec, before = dict(section(new, "spec")), dict(section(old, "spec"))
    asked, had = (section(s, "resources", "requests").get("storage") for s in (spec, before))
    bound = section(new, "status").get("phase") == "Bound"
    if not before.get("volumeName"):
        spec.pop("volumeName", None)
        before.pop("volumeName", None)
    if before.get("storageClassName") is None and not before.get("volumeName"):
        spec.pop("storageClassName", None)  # set once, by whoever knows the default class
    if bound:
        for holder in (spec, before):
            holder.pop("volumeAttributesClassName", None)
            resources = {**section(holder, "resources")}
            resources["requests"] = {k: v for k, v in section(resources, "requests").items() if k != "storage"}
            holder["resources"] = resources
    causes = []
    if spec != before:
        why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        causes.append(field_forbidden("spec", why))
    size, wanted, known = _amount(section(old, "status", "capacity").get("storage")), _amount(asked), _amount(had)
    if wanted is not None and known is not None and wanted < known and (size is None or wanted <= size):
        causes.append(field_forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"))
    return causes


# -- classes and limits --------------------------------------------------------------------------------------------------------------
def storage_class_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    causes = [
        field_forbidden(field, f"updates to {field} are forbidden.")
        for field in ("parameters", "provisioner", "reclaimPolicy")
        if (new.get(field) or {}) != (old.get(field) or {})
    ]
    if new.get("volumeBindingMode") != old.get("volumeBindingMode"):
        causes.append(field_invalid("volumeBindingMode", new.get("volumeBindingMode"), "field is immutable"))
    return causes


def attributes_class_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    return [
        field_forbidden(field, f"updates to {field} are forbidden.")
        for field in ("driverName", "parameters")
        if (new.get(field) or {}) != (old.get(field) or {})
    ]


def priority_class_create(obj: Document, ctx: StrategyContext) -> list[Cause]:
    """User priorities stay below the system's; one class at most is the default (the Priority plug-in's rule)."""
    name, value = section(obj, "metadata").get("name") or "", obj.get("value") or 0
    causes = []
    if name.startswith("system-"):
        why = "priority class names with 'system-' prefix are reserved for system use only. error: "
        causes.append(field_forbidden("metadata.name", f"{why}{name} is not a known system priority class"))
    elif value > _MAX_USER_PRIORITY:
        why = f"maximum allowed value of a user defined priority is {_MAX_USER_PRIORITY}"
        causes.append(field_forbidden("value", why))
    _single_default(obj, name, ctx)
    return causes


def _single_default(obj: Document, name: str, ctx: StrategyContext) -> None:
    if obj.get("globalDefault") is not True:
        return
    for other in ctx.lookup.list(ResourceId("priorityclasses.scheduling.k8s.io")):
        known = section(other, "metadata").get("name")
        if other.get("globalDefault") is True and known != name:
            why = f"PriorityClass {known} is already marked as default. Only one default can exist"
            text = f'priorityclasses.scheduling.k8s.io "{name}" is forbidden: {why}'
            raise Forbidden(text, group="scheduling.k8s.io", kind="priorityclasses", name=name)


def priority_class_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    causes = [field_forbidden("value", "may not be changed in an update.")] if (new.get("value") or 0) != (old.get("value") or 0) else []
    if new.get("preemptionPolicy") != old.get("preemptionPolicy"):
        causes.append(field_invalid("preemptionPolicy", new.get("preemptionPolicy"), "field is immutable"))
    _single_default(new, section(new, "metadata").get("name") or "", ctx)
    return causes


#: What a quota counts, and does not measure.
_WHOLE: Final = frozenset(
    {
        *("configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets"),
        *("services", "services.loadbalancers", "services.nodeports"),
    }
)


def quota_spec(obj: Object, path: str) -> Iterator[Cause]:
    for name, amount in section(obj, "hard").items():
        at = f"{join(path, 'hard')}[{name}]"
        yield from (field_invalid(at, name, problem) for problem in metadata.qualified_name_problems(name))
        figure = _amount(amount)
        if figure is not None and figure < 0:
            yield field_invalid(at, amount, "must be greater than or equal to 0")
        if figure is not None and name in _WHOLE and figure != int(figure):
            yield field_invalid(at, amount, "must be an integer")


def scope_requirement(obj: Object, path: str) -> Iterator[Cause]:
    if obj.get("operator") in ("In", "NotIn") and not obj.get("values"):
        why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        yield field_required(join(path.rpartition("[")[0], "values"), why)


def storage_class(obj: Object, path: str) -> Iterator[Cause]:
    name = (obj.get("provisioner") or "").lower()
    if name:
        yield from (field_invalid(join(path, "provisioner"), name, problem) for problem in metadata.qualified_name_problems(name))


def limit_range_item(obj: Object, path: str) -> Iterator[Cause]:
    """``min`` ≤ ``defaultRequest`` ≤ ``default`` ≤ ``max``."""
    tables = [(field, section(obj, field)) for field in ("min", "defaultRequest", "default", "max")]
    for position, (low_field, low) in enumerate(tables):
        for high_field, high in tables[position + 1 :]:
            for name, amount in low.items():
                least, most = _amount(amount), _amount(high.get(name))
                if least is not None and most is not None and least > most:
                    label = {"min": "min", "defaultRequest": "default request", "default": "default"}[low_field]
                    other = {"defaultRequest": "default request", "default": "default", "max": "max"}[high_field]
                    why = f"{label} value {amount} is greater than {other} value {high[name]}"
                    yield field_invalid(f"{join(path, low_field)}[{name}]", amount, why)
    kind = obj.get("type") or ""
    if kind and kind not in ("Pod", "Container", "PersistentVolumeClaim") and "/" not in kind:
        yield field_invalid(join(path, "type"), kind, "must be a standard limit type or fully qualified")
    if kind == "Pod":
        for field in ("default", "defaultRequest"):
            if obj.get(field):
                yield field_forbidden(join(path, field), "may not be specified when `type` is 'Pod'")
