# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write ``protobuf.xz``: field numbers and types of the messages of built-in kinds, one message a line (``name TAB JSON``).

The source is the ``generated.proto`` files of the published modules; which JSON property a field becomes, and which embedded
messages are inlined into their parent, is read off the OpenAPI definition of the same type. A line's JSON is a list of
``[number, JSON name, type, kept]``; a type is a scalar's or message's name after ``[]`` for a list and ``{}`` for a map of
strings, a JSON name of ``null`` means that the message's own fields stand in its place, and ``kept`` is 1 where the Go field
is a pointer, or has no ``omitempty``: only there does a zero on the wire become a zero in JSON.
"""

from __future__ import annotations

import json
import lzma
import re
import subprocess
from pathlib import Path
from typing import Any

from kubernetes_sources import DATA, VERSION, compact, sources, write_xz

MODULES = ("api", "apimachinery", "apiextensions-apiserver", "kube-aggregator")
_MESSAGE = re.compile(r"^message (\w+) \{")
_FIELD = re.compile(r"^  (optional|repeated|map<string, ([\w.]+)>) ?([\w.]*) (\w+) = (\d+);")
_STRUCT = re.compile(r"^type (\w+) struct \{")
_GO_FIELD = re.compile(r'^\t(?:\w+\s+)?(\*?)\S+\s+`json:"([^"]*)" protobuf:"\w+,(\d+),')
_SCALARS = frozenset({"string", "bytes", "bool", "int32", "int64", "double"})
#: Messages whose JSON form is not an object of their fields; the codec knows each.
SPECIAL = {
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "@time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "@microtime",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Duration": "@duration",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "@json",
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "@quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "@intorstring",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "@json",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": "@json",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray": "@schemaorarray",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool": "@schemaorbool",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray": "@schemaorstrings",
    "io.k8s.api.authentication.v1.ExtraValue": "@strings",
    "io.k8s.api.authorization.v1.ExtraValue": "@strings",
    "io.k8s.api.certificates.v1.ExtraValue": "@strings",
}


def proto_files() -> list[Path]:
    """The generated.proto files of the modules that hold the API types."""
    found = []
    for module in MODULES:
        version = f"k8s.io/{module}@v0{VERSION[1:]}"
        done = subprocess.run(["go", "mod", "download", "-json", version], check=True, capture_output=True, text=True)
        found += sorted(Path(json.loads(done.stdout)["Dir"]).rglob("generated.proto"))
    return found


def full_name(name: str, package: str) -> str:
    """``.k8s.io.api.core.v1.Pod`` or ``Pod`` → ``io.k8s.api.core.v1.Pod``."""
    absolute = name[1:] if name.startswith(".") else name if "." in name else f"{package}.{name}"
    return absolute.replace("k8s.io.", "io.k8s.", 1).replace("_", "-")


def messages(path: Path) -> dict[str, list[tuple[int, str, str]]]:
    """message → (number, proto name, type) of one file."""
    package, current = "", ""
    found: dict[str, list[tuple[int, str, str]]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("package "):
            package = line.split()[1].rstrip(";")
        elif match := _MESSAGE.match(line):
            current = full_name(match[1], package)
            found[current] = []
        elif match := _FIELD.match(line):
            kind = match[2] or match[3]
            kind = kind if kind in _SCALARS else full_name(kind, package)
            prefix = "{}" if match[2] else "[]" if match[1] == "repeated" else ""
            found[current].append((int(match[5]), match[4], prefix + SPECIAL.get(kind, kind)))
    return found


def kept_zeros(path: Path, package: str) -> set[tuple[str, int]]:
    """(message, number) of the fields whose zero is said in JSON, from the Go types beside a generated.proto."""
    found: set[tuple[str, int]] = set()
    for source in sorted(path.parent.glob("*.go")):
        current = ""
        for line in source.read_text().splitlines():
            if match := _STRUCT.match(line):
                current = full_name(match[1], package)
            elif (match := _GO_FIELD.match(line)) and (match[1] or not match[2].endswith((",omitempty", ",omitzero", ",inline"))):
                found.add((current, int(match[3])))
    return found


def definitions() -> dict[str, set[str]]:
    """definition → its JSON property names, in all published documents."""
    found: dict[str, set[str]] = {}
    for path in sorted((sources() / "api/openapi-spec/v3").glob("*_openapi.json")):
        for name, schema in json.loads(path.read_text()).get("components", {}).get("schemas", {}).items():
            found.setdefault(name, set()).update(schema.get("properties", {}))
    return found


def json_name(proto: str, properties: set[str]) -> str | None:
    """The property that a field becomes, or None for an embedded message without a name of its own."""
    kebab = re.sub(r"([A-Z])", lambda match: "-" + match[1].lower(), proto)
    for candidate in (proto, proto[0].lower() + proto[1:], f"${proto}", kebab, proto.upper()):
        if candidate in properties:
            return candidate
    by_case = {name.lower(): name for name in properties}
    return by_case.get(proto.lower())


def main() -> None:
    published = definitions()
    table: dict[str, list[list[Any]]] = {}
    for path in proto_files():
        declared = messages(path)
        kept = kept_zeros(path, next(iter(declared)).rpartition(".")[0]) if declared else set()
        for name, fields in declared.items():
            if name in SPECIAL:
                continue
            properties = published.get(name)
            rows: list[list[Any]] = []
            for number, proto, kind in fields:
                plain = proto if properties is None else json_name(proto, properties)
                if plain is None and (kind.startswith(("[]", "{}", "@")) or kind in _SCALARS):
                    print(f"{name}.{proto}: not published, keeps its name")
                    plain = proto
                elif plain is None:
                    print(f"{name}.{proto}: inlined")
                rows.append([number, plain, kind, int((name, number) in kept)])
            table[name] = rows
    reachable = _reachable(table, published)
    lines = [name.encode() + b"\t" + compact(table[name]) for name in sorted(reachable)]
    write_xz("protobuf.xz", b"\n".join(lines))


def _reachable(table: dict[str, list[list[Any]]], published: dict[str, set[str]]) -> set[str]:
    """Messages of the served kinds, and all that they contain."""
    first = lzma.decompress((DATA / "schemas.xz").read_bytes()).split(b"\n", 1)[0]
    wanted = [name for name in json.loads(first).values() if name in table]
    wanted += [f"io.k8s.apimachinery.pkg.apis.meta.v1.{name}" for name in ("Status", "DeleteOptions", "WatchEvent", "ListMeta")]
    missing = [name for name in json.loads(first).values() if name not in table and not name.endswith(("APIGroup", "APIVersions"))]
    print("served kinds without a message:", missing)
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in seen:
            seen.add(name)
            kinds = [row[2].removeprefix("[]").removeprefix("{}") for row in table[name]]
            wanted += [kind for kind in kinds if kind in table]
    return seen


if __name__ == "__main__":
    main()
