# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write ``definitions.xz`` (with prose, for OpenAPI documents), ``schemas.xz`` (without, for work) and ``types.json`` (who contains whom).

The source is the published OpenAPI v3 documents. The first two hold one definition a line, ``name TAB JSON``, sorted by name.
``schemas.xz`` begins with a line of its own, the map from ``group/version/kind`` to the definition's name. Enumerations are not
in the published documents, but a server shows them: they come from the generated OpenAPI code of the same release.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from kubernetes_sources import DATA, compact, file_stem, group_versions, sources, write_xz

Definitions = dict[str, dict[str, Any]]

_FUNCTION = re.compile(r"^func (schema_\w+)\(ref")
_NAMED = re.compile(r'^\t\t"([^"]+)":\s+(schema_\w+)\(ref\),')
_PROPERTY = re.compile(r'^\t{5}"([^"]+)": \{')
_DESCRIPTION = re.compile(r'^\t+Description:\s+("(?:[^"\\]|\\.)*"),')
_ENUM = re.compile(r"^(\t+)Enum:\s+\[\]interface\{\}\{(.*)\},")

#: Defaults that only say "not a pointer" in Go; they are no defaults of the API.
_ZERO: tuple[Any, ...] = ("", 0, False)

_DROPPED = {"description", "enum", "x-kubernetes-group-version-kind", "x-kubernetes-unions", "uniqueItems"}


def enumerations(root: Path) -> dict[str, dict[str, tuple[list[Any], bool, str]]]:
    """definition → property → (values, whether they are of its items, description), from the generated Go code."""
    names: dict[str, str] = {}
    found: dict[str, dict[str, tuple[list[Any], bool, str]]] = {}
    function = prop = description = ""
    for line in (root / "pkg/generated/openapi/zz_generated.openapi.go").read_text().splitlines():
        if match := _NAMED.match(line):
            names[match[2]] = match[1]
        elif match := _FUNCTION.match(line):
            function = match[1]
        elif match := _PROPERTY.match(line):
            prop, description = match[1], ""
        elif match := _DESCRIPTION.match(line):
            description = description or json.loads(match[1])
        elif match := _ENUM.match(line):
            values = json.loads(f"[{match[2]}]")
            found.setdefault(names[function], {})[prop] = (values, len(match[1]) > 7, description)
    return {_definition_name(name): properties for name, properties in found.items()}


def _definition_name(go_name: str) -> str:
    """``k8s.io/api/core/v1.Pod`` → ``io.k8s.api.core.v1.Pod``, as the published documents name it."""
    domain, _, rest = go_name.partition("/")
    return ".".join(reversed(domain.split("."))) + "." + rest.replace("/", ".")


def published(root: Path) -> Definitions:
    """Every definition of the served group versions, enumerations added."""
    definitions: Definitions = {}
    for group, version in group_versions(root):
        document = json.loads((root / "api/openapi-spec/v3" / f"{file_stem(group, version)}_openapi.json").read_text())
        for name, schema in document["components"]["schemas"].items():
            known = definitions.setdefault(name, schema)
            kinds, more = known.get("x-kubernetes-group-version-kind"), schema.get("x-kubernetes-group-version-kind", [])
            if kinds is not None:
                kinds += [kind for kind in more if kind not in kinds]
    for name, properties in enumerations(root).items():
        for prop, (values, of_items, description) in properties.items():
            schema = definitions.get(name, {}).get("properties", {}).get(prop)
            if schema is None:
                continue
            (schema.get("items") or schema.get("additionalProperties") if of_items else schema)["enum"] = values
            schema["description"] = description
    return definitions


def strip(schema: Any) -> Any:
    """A schema without prose and enumerations, and without zero defaults but ``{}``, which marks a struct that is always there."""
    if isinstance(schema, list):
        return [strip(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _DROPPED or (key == "default" and value in _ZERO):
            continue
        if key == "properties":
            result[key] = {name: strip(child) for name, child in value.items()}
        elif key == "$ref":
            result[key] = value.rpartition("/")[2]
        else:
            result[key] = strip(value)
    return result


def short_name(definition: str) -> str:
    """``io.k8s.api.core.v1.Pod`` → ``core.v1.Pod``; what is not in the API module keeps the last three parts of its name."""
    return definition.removeprefix("io.k8s.api.") if definition.startswith("io.k8s.api.") else ".".join(definition.split(".")[-3:])


def _link(schema: Any) -> list[str] | None:
    """What a property leads to: [how, type], with ``list`` or ``map`` for its elements and ``one`` for itself."""
    for how, child in (("list", schema.get("items")), ("map", schema.get("additionalProperties")), ("one", schema)):
        if isinstance(child, dict) and (reference := child.get("$ref") or (child.get("allOf") or [{}])[0].get("$ref")):
            return [how, short_name(reference.rpartition("/")[2])]
    return None


def type_graph(definitions: Definitions) -> dict[str, Any]:
    """type → {"enums": property → [how, values], "links": property → [how, type]}: where the rules of a type apply.

    Statuses have no enumerations here: their values are the controllers' affair, and a server does not check them.
    """
    graph: dict[str, Any] = {}
    for name, schema in sorted(definitions.items()):
        enums: dict[str, Any] = {}
        links: dict[str, Any] = {}
        for prop, child in schema.get("properties", {}).items():
            values, of_items = child.get("enum"), (child.get("items") or {}).get("enum")
            if (values or of_items) and not name.endswith("Status"):
                enums[prop] = ["list", of_items] if of_items else ["one", values]
            if link := _link(child):
                links[prop] = link
        node = {key: value for key, value in (("enums", enums), ("links", links)) if value}
        if node and not name.endswith("List"):
            graph[short_name(name)] = node
    return graph


def lines(definitions: Definitions) -> list[bytes]:
    return [name.encode() + b"\t" + compact(definitions[name]) for name in sorted(definitions)]


def main() -> None:
    definitions = published(sources())
    kinds = {
        f"{kind['group']}/{kind['version']}/{kind['kind']}": name
        for name, schema in sorted(definitions.items())
        for kind in schema.get("x-kubernetes-group-version-kind", ())
        if not name.startswith("io.k8s.apimachinery.")
    }
    stripped = {name: strip(schema) for name, schema in definitions.items()}
    write_xz("definitions.xz", b"\n".join(lines(definitions)))
    (DATA / "types.json").write_bytes(compact(type_graph(definitions)) + b"\n")
    write_xz("schemas.xz", b"\n".join([compact(kinds), *lines(stripped)]))


if __name__ == "__main__":
    main()
