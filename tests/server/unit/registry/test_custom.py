# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Custom resources: definitions, their conditions, their instances, their end."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import orjson
import pytest

from kplane_server.model.errors import (
    BadRequest,
    Conflict,
    Invalid,
    MethodNotAllowed,
    NotFound,
    UnsupportedMediaType,
)
from kplane_server.registry.options import DeleteOptions, ListOptions, WatchOptions
from kplane_server.schema.crdschema import check_structural

from .conftest import Bench, document

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "color": {"type": "string", "default": "red"},
                "selector": {"type": "string"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "properties": {"size": {"type": "integer"}, "selector": {"type": "string"}}},
    },
}


def version(name: str = "v1", *, storage: bool = True, schema: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema or SCHEMA}, **more}


def crd(plural: str = "widgets", kind: str = "Widget", *versions: Any, scope: str = "Namespaced", **names: Any) -> Any:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": {"plural": plural, "kind": kind, **names},
            "versions": list(versions or [version()]),
        },
    }


STATUS = {"status": {}}
SCALE = {
    "status": {},
    "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size", "labelSelectorPath": ".status.selector"},
}
WIDGETS = "widgets.example.com"


def widget(name: str = "w", **spec: Any) -> Any:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": 1, **spec}}


def conditions(obj: Any) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in obj["status"]["conditions"]}


async def define(bench: Bench, body: Any) -> Any:
    return await bench.create(CRDS, body, "")


async def remove(bench: Bench, name: str = WIDGETS) -> Any:
    return await bench.api.delete(bench.info(CRDS), "", name, DeleteOptions(), bench.context())


async def test_a_definition_is_served_as_soon_as_it_is_created(bench: Bench) -> None:
    before = bench.api.resources.generation
    made = await define(bench, crd(shortNames=["wd"], categories=["all"]))
    assert conditions(made) == {"NamesAccepted": ("True", "NoConflicts"), "Established": ("True", "InitialNamesAccepted")}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    assert made["status"]["acceptedNames"] == {**names, "shortNames": ["wd"], "categories": ["all"]}
    assert made["status"]["storedVersions"] == ["v1"]
    assert made["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    row = bench.info(WIDGETS)
    assert (row.kind, row.singular, row.list_kind, row.short_names, row.categories) == ("Widget", "widget", "WidgetList", ("wd",), ("all",))
    assert not row.builtin
    assert "example.com" in bench.api.resources.groups()
    assert bench.api.resources.generation != before


async def test_instances_are_pruned_defaulted_and_validated(bench: Bench) -> None:
    await define(bench, crd())
    ctx = bench.context(field_validation="Warn")
    made = document(await bench.api.create(bench.info(WIDGETS), "default", {**widget(free={"x": 1}, junk=2), "more": 3}, ctx))
    assert made["spec"] == {"size": 1, "color": "red", "free": {"x": 1}}
    assert "more" not in made
    assert sorted(ctx.warnings) == ['unknown field "more"', 'unknown field "spec.junk"']
    assert made["metadata"]["generation"] == 1
    with pytest.raises(BadRequest, match=r'strict decoding error: unknown field "spec\.junk"'):
        await bench.create(WIDGETS, widget("x", junk=1), field_validation="Strict")
    with pytest.raises(Invalid, match=r"Widget.example.com \"x\" is invalid: spec.size: Invalid value: 0: .*greater than or equal to 1"):
        await bench.create(WIDGETS, widget("x", size=0))
    with pytest.raises(Invalid, match=r"spec\.size: Required value"):
        await bench.create(WIDGETS, {**widget("x"), "spec": {}})
    with pytest.raises(Invalid, match="must be of type integer"):
        await bench.create(WIDGETS, widget("x", size="1"))


async def test_updates_need_a_revision_and_count_generations(bench: Bench) -> None:
    await define(bench, crd("widgets", "Widget", version(subresources=STATUS)))
    made = await bench.create(WIDGETS, {**widget(), "status": {"size": 3}})
    assert "status" not in made
    with pytest.raises(Invalid, match=r"metadata.resourceVersion: Invalid value: 0: must be specified for an update"):
        await bench.update(WIDGETS, widget(size=2))
    changed = await bench.update(WIDGETS, {**made, "spec": {"size": 2}, "status": {"size": 9}})
    assert (changed["metadata"]["generation"], changed["spec"]["size"]) == (2, 2)
    assert "status" not in changed
    changed = await bench.patch(WIDGETS, "w", "merge", {"spec": {"size": 7}, "status": {"size": 3}}, subresource="status")
    assert (changed["spec"]["size"], changed["status"], changed["metadata"]["generation"]) == (2, {"size": 3}, 2)
    changed = await bench.patch(WIDGETS, "w", "merge", {"metadata": {"labels": {"a": "b"}}})
    assert changed["metadata"]["generation"] == 2
    with pytest.raises(UnsupportedMediaType):
        await bench.patch(WIDGETS, "w", "strategic", {})
    with pytest.raises(Conflict):
        await bench.update(WIDGETS, made)


async def test_without_the_status_sub_resource_status_is_a_field(bench: Bench) -> None:
    await define(bench, crd())
    made = await bench.create(WIDGETS, {**widget(), "status": {"size": 3}})
    assert made["status"] == {"size": 3}
    assert (await bench.patch(WIDGETS, "w", "merge", {"status": {"size": 4}}))["metadata"]["generation"] == 2
    with pytest.raises(NotFound):
        bench.get(WIDGETS, "w", subresource="status")


async def test_scale(bench: Bench) -> None:
    await define(bench, crd("widgets", "Widget", version(subresources=SCALE)))
    await bench.create(WIDGETS, widget(size=2))
    await bench.patch(WIDGETS, "w", "merge", {"status": {"size": 1, "selector": "a=b"}}, subresource="status")
    scale = bench.get(WIDGETS, "w", subresource="scale")
    assert (scale["spec"]["replicas"], scale["status"]) == (2, {"replicas": 1, "selector": "a=b"})
    await bench.patch(WIDGETS, "w", "merge", {"spec": {"replicas": 5}}, subresource="scale")
    assert bench.get(WIDGETS, "w")["spec"]["size"] == 5


async def test_apply_of_an_instance(bench: Bench) -> None:
    await define(bench, crd())
    made = await bench.patch(WIDGETS, "w", "apply", widget(), field_manager="one")
    assert made["spec"] == {"size": 1, "color": "red"}
    again = await bench.patch(WIDGETS, "w", "apply", widget(), field_manager="one")
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    with pytest.raises(Conflict, match='conflict with "one"'):
        await bench.patch(WIDGETS, "w", "apply", widget(size=2), field_manager="two")


async def test_selectable_fields(bench: Bench) -> None:
    await define(bench, crd("widgets", "Widget", version(selectableFields=[{"jsonPath": ".spec.color"}])))
    await bench.create(WIDGETS, widget("a"))
    await bench.create(WIDGETS, widget("b", color="blue"))
    assert bench.names(WIDGETS, field_selector="spec.color=blue") == ["b"]
    with pytest.raises(BadRequest, match=r"field label not supported: spec\.size"):
        bench.names(WIDGETS, field_selector="spec.size=1")


async def test_versions_differ_in_their_api_version_alone(bench: Bench) -> None:
    await define(bench, crd("widgets", "Widget", version("v1beta1", storage=False), version("v1")))
    await bench.create(WIDGETS, {**widget(), "apiVersion": "example.com/v1beta1"}, version="v1beta1")
    one, beta = bench.get(WIDGETS, "w"), bench.get(WIDGETS, "w", version="v1beta1")
    assert (one["apiVersion"], beta["apiVersion"]) == ("example.com/v1", "example.com/v1beta1")
    assert {**one, "apiVersion": ""} == {**beta, "apiVersion": ""}
    listed = bench.api.list(bench.info(WIDGETS, "v1beta1"), None, ListOptions(label_selector="!x")).items
    assert orjson.loads(listed[0].value)["apiVersion"] == "example.com/v1beta1"
    watch = bench.api.watch(bench.info(WIDGETS, "v1beta1"), None, WatchOptions())
    assert orjson.loads((await watch.next(0))[0].object.value)["apiVersion"] == "example.com/v1beta1"
    watch.close()
    groups = bench.api.resources.groups()["example.com"]
    assert list(groups) == ["v1", "v1beta1"]
    changed = await bench.patch(WIDGETS, "w", "merge", {"spec": {"size": 4}}, version="v1beta1")
    assert (changed["apiVersion"], changed["metadata"]["generation"]) == ("example.com/v1beta1", 2)


async def test_the_storage_version_moves(bench: Bench) -> None:
    await define(bench, crd())
    await bench.create(WIDGETS, widget())
    made = bench.get(CRDS, WIDGETS, "")
    made["spec"]["versions"] = [version("v1", storage=False), version("v2")]
    changed = await bench.update(CRDS, made, "")
    assert changed["status"]["storedVersions"] == ["v1", "v2"]
    assert bench.get(WIDGETS, "w")["apiVersion"] == "example.com/v1"
    assert bench.get(WIDGETS, "w", version="v2")["apiVersion"] == "example.com/v2"
    changed["spec"]["versions"] = [version("v2")]
    with pytest.raises(Invalid, match=r"status.storedVersions\[0\]: Invalid value: \"v1\": must appear in spec.versions"):
        await bench.update(CRDS, changed, "")
    await bench.patch(CRDS, WIDGETS, "merge", {"status": {"storedVersions": ["v2"]}}, "", subresource="status")
    changed = bench.get(CRDS, WIDGETS, "")
    changed["spec"]["versions"] = [version("v2")]
    await bench.update(CRDS, changed, "")
    assert bench.api.resources.find("example.com", "v1", "widgets") is None


async def test_a_new_shape_holds_for_old_objects_when_they_are_read(bench: Bench) -> None:
    await define(bench, crd())
    await bench.create(WIDGETS, widget("old", free={"x": 1}))
    made = bench.get(CRDS, WIDGETS, "")
    spec = {**SCHEMA["properties"]["spec"]["properties"], "shape": {"type": "string", "default": "round"}}  # type: ignore[index]
    del spec["free"]
    made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"] = spec
    await bench.update(CRDS, made, "")
    assert bench.get(WIDGETS, "old")["spec"] == {"size": 1, "color": "red", "shape": "round"}
    before = bench.store.revision
    made = await bench.create(WIDGETS, widget("new"))
    assert int(made["metadata"]["resourceVersion"]) > before
    assert bench.get(WIDGETS, "new") == made


async def test_names_conflict_within_a_group(bench: Bench) -> None:
    await define(bench, crd())
    other = await define(bench, crd("gadgets", "Widget", singular="gadget"))
    assert conditions(other)["NamesAccepted"] == ("False", "KindConflict")
    assert conditions(other)["Established"] == ("False", "NotAccepted")
    assert bench.api.resources.find("example.com", "v1", "gadgets") is None
    await remove(bench)
    assert await bench.api.finish_definition(WIDGETS)
    assert conditions(bench.get(CRDS, "gadgets.example.com", ""))["Established"] == ("True", "InitialNamesAccepted")
    assert bench.info("gadgets.example.com").kind == "Widget"


async def test_a_definition_goes_with_its_instances(bench: Bench) -> None:
    await define(bench, crd())
    for n in range(3):
        await bench.create(WIDGETS, widget(f"w{n}"))
    held = widget("held")
    held["metadata"]["finalizers"] = ["x.io/y"]
    await bench.create(WIDGETS, held)
    result = await remove(bench)
    assert not result.finished
    assert conditions(bench.get(CRDS, WIDGETS, ""))["Terminating"] == ("True", "InstanceDeletionPending")
    with pytest.raises(MethodNotAllowed, match="create not allowed while custom resource definition is terminating"):
        await bench.create(WIDGETS, widget("late"))
    assert not await bench.api.finish_definition(WIDGETS)
    assert bench.names(WIDGETS) == ["held"]
    assert bench.get(WIDGETS, "held")["metadata"]["deletionTimestamp"]
    await bench.patch(WIDGETS, "held", "merge", {"metadata": {"finalizers": []}})
    assert await bench.api.finish_definition(WIDGETS)
    with pytest.raises(NotFound):
        bench.get(CRDS, WIDGETS, "")
    assert bench.api.resources.find("example.com", "v1", "widgets") is None
    assert await bench.api.finish_definition(WIDGETS)
    await define(bench, crd())
    assert bench.names(WIDGETS) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["metadata"].update(name="x.example.com"), 'must be spec.names.plural+"."+spec.group'),
        (lambda c: c["spec"].update(group="nodots"), "should be a domain with at least one dot"),
        (lambda c: c["spec"].update(scope="Galaxy"), 'supported values: "Cluster", "Namespaced"'),
        (lambda c: c["spec"].update(scope=None), "spec.scope: Required value"),
        (lambda c: c["spec"]["names"].update(kind="a_b"), "spec.names.kind"),
        (lambda c: c["spec"]["names"].update(listKind="Widget"), "kind and listKind may not be the same"),
        (lambda c: c["spec"].update(versions=[]), "spec.versions: Required value"),
        (lambda c: c["spec"]["versions"][0].update(schema=None), "schemas are required"),
        (lambda c: c["spec"]["versions"][0].update(storage=False), "must have exactly one version marked as storage version"),
        (lambda c: c["spec"]["versions"].append(version()), "must contain unique version names"),
        (lambda c: c["spec"]["versions"][0]["schema"]["openAPIV3Schema"].update(type="string"), "openAPIV3Schema.type"),
        (
            lambda c: c["spec"]["versions"][0]["schema"].update(openAPIV3Schema={"type": "object", "properties": {"a": {}}}),
            "properties[a].type: Required value: must not be empty for specified object fields",
        ),
        (
            lambda c: c["spec"]["versions"][0].update(subresources={"scale": {"specReplicasPath": "x"}}),
            "should be a json path under .spec",
        ),
        (
            lambda c: c["spec"]["versions"][0].update(additionalPrinterColumns=[{"name": "a", "type": "blob", "jsonPath": ".a"}]),
            "must be one of integer,number,string,boolean,date",
        ),
        (lambda c: c["spec"]["versions"][0].update(selectableFields=[{"jsonPath": ".metadata.name"}]), "is an invalid path"),
        (lambda c: c["spec"].update(conversion={"strategy": "Webhook"}), "webhook.clientConfig: Required value"),
        (lambda c: c["spec"].update(conversion={"strategy": "Magic"}), 'supported values: "None", "Webhook"'),
    ],
)
async def test_definitions_that_are_refused(bench: Bench, change: Any, words: str) -> None:
    body = orjson.loads(orjson.dumps(crd()))
    change(body)
    with pytest.raises(Invalid) as caught:
        await define(bench, body)
    assert words in str(caught.value)
    assert bench.names(CRDS) == []


DEAR: dict[str, Any] = {
    "type": "object",
    "properties": {
        "l": {
            "type": "array",
            "maxItems": 2500,
            "items": {"type": "integer"},
            "x-kubernetes-validations": [{"rule": "self.all(x, self.all(y, x + y > 0))"}],
        },
    },
}


async def test_a_rule_that_may_cost_too_much_is_refused(bench: Bench) -> None:
    schema = {"type": "object", "properties": {"spec": DEAR}}
    at = r"spec\.validation\.openAPIV3Schema\.properties\[spec\]\.properties\[l\]\.x-kubernetes-validations\[0\]\.rule"
    words = rf"{at}: Forbidden: estimated rule cost exceeds budget by factor of \d\.\dx \(try simplifying the rule"
    with pytest.raises(Invalid, match=words):
        await define(bench, crd("widgets", "Widget", version(schema=schema)))
    at = at.replace("validation", r"versions\[1\]\.schema", 1)
    with pytest.raises(Invalid, match=at):
        await define(bench, crd("widgets", "Widget", version("v1"), version("v2", schema=schema, storage=False)))


async def test_a_rule_that_was_taken_before_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {"type": "object", "properties": {"spec": DEAR}}
    with monkeypatch.context() as patch:
        patch.setattr("kplane_server.schema.cel.rulechecks.EXPRESSION_LIMIT", 2**64)
        patch.setattr("kplane_server.registry.custom_validation._accepted", OrderedDict())
        await define(bench, crd("widgets", "Widget", version(schema=schema)))
    names = {"shortNames": ["wd"]}
    made = await bench.patch(CRDS, WIDGETS, "merge", {"spec": {"names": names}}, "")
    assert made["spec"]["names"]["shortNames"] == ["wd"]
    changed = {**DEAR, "description": "another one"}
    versions = [version(schema={"type": "object", "properties": {"spec": changed}})]
    with pytest.raises(Invalid, match="estimated rule cost exceeds budget"):
        await bench.patch(CRDS, WIDGETS, "merge", {"spec": {"versions": versions}}, "")


async def test_a_schema_is_judged_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[Any] = []

    def judge(schema: Any, **more: Any) -> list[Any]:
        judged.append(schema)
        return check_structural(schema, **more)

    monkeypatch.setattr("kplane_server.registry.custom_validation.check_structural", judge)
    monkeypatch.setattr("kplane_server.registry.custom_validation._accepted", OrderedDict())
    await define(bench, crd())
    await define(bench, crd("gadgets", "Gadget"))
    await bench.patch(CRDS, WIDGETS, "merge", {"metadata": {"labels": {"a": "b"}}}, "")
    assert len(judged) == 1
    wrong = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"x": {}}}}}
    for _ in range(2):
        with pytest.raises(Invalid, match="must not be empty for specified object fields"):
            await define(bench, crd("others", "Other", version(schema=wrong)))
    assert len(judged) == 3


async def test_a_protected_group_needs_an_approval(bench: Bench) -> None:
    body = orjson.loads(orjson.dumps(crd()).replace(b"example.com", b"foo.k8s.io"))
    with pytest.raises(Invalid, match="protected groups must have approval annotation"):
        await define(bench, body)
    body["metadata"]["annotations"] = {"api-approved.kubernetes.io": "https://example.com/pr/1"}
    assert conditions(await define(bench, body))["KubernetesAPIApprovalPolicyConformant"][0] == "True"


@pytest.mark.parametrize("path", [("group",), ("scope",), ("names", "kind"), ("names", "plural")])
async def test_what_a_definition_keeps(bench: Bench, path: tuple[str, ...]) -> None:
    made = await define(bench, crd())
    parent = made["spec"]
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = "Cluster" if path == ("scope",) else "other"
    with pytest.raises(Invalid, match="field is immutable"):
        await bench.update(CRDS, made, "")


async def test_cluster_scope(bench: Bench) -> None:
    await define(bench, crd(scope="Cluster"))
    made = await bench.create(WIDGETS, widget(), "")
    assert "namespace" not in made["metadata"]
    assert bench.get(WIDGETS, "w", "") == made


async def test_a_deprecated_version_warns(bench: Bench) -> None:
    await define(bench, crd("widgets", "Widget", version(deprecated=True), version("v2", storage=False)))
    ctx = bench.context()
    await bench.api.create(bench.info(WIDGETS), "default", widget(), ctx)
    assert ctx.warnings == ["example.com/v1 Widget is deprecated"]
    ctx = bench.context()
    await bench.api.create(bench.info(WIDGETS, "v2"), "default", {**widget("x"), "apiVersion": "example.com/v2"}, ctx)
    assert ctx.warnings == []


async def test_a_collection_of_instances_is_deleted(bench: Bench) -> None:
    await define(bench, crd())
    for n in range(3):
        await bench.create(WIDGETS, widget(f"w{n}"))
    await bench.api.delete_collection(bench.info(WIDGETS), None, ListOptions(), DeleteOptions(), bench.context())
    assert bench.names(WIDGETS) == []


@pytest.mark.parametrize(
    ("names", "order"),
    [(["v1", "v2", "v1beta1", "v10", "foo1", "v11alpha2", "v12alpha1", "v3beta1"],
      ["v10", "v2", "v1", "v3beta1", "v1beta1", "v12alpha1", "v11alpha2", "foo1"])],
)  # fmt: skip
async def test_the_order_of_versions(bench: Bench, names: list[str], order: list[str]) -> None:
    await define(bench, crd("widgets", "Widget", *(version(n, storage=n == "v1") for n in names)))
    assert list(bench.api.resources.groups()["example.com"]) == order


async def test_an_unchanged_definition_keeps_its_rows(bench: Bench) -> None:
    await define(bench, crd())
    row = bench.info(WIDGETS)
    await bench.patch(CRDS, WIDGETS, "merge", {"metadata": {"labels": {"a": "b"}}}, "")
    await define(bench, crd("gadgets", "Gadget"))
    assert bench.info(WIDGETS) is row
