# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same requests to two API servers: what came back, without what differs by chance, and where it differs beyond that."""

from __future__ import annotations

import fnmatch
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from support.client import Client, eventually

USER_AGENT = "differential/1.0"
JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
_REFERENCE = re.compile(r"<<([\w.-]+)>>")
#: What is never the same twice, in any string.
_CHANCE = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uid>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"(resource ?[vV]ersion:? \"?)\d+"), r"\1<revision>"),
    (re.compile(r"(Too large resource version: |current: )\d+"), r"\1<revision>"),
    (re.compile(r"kube-api-access-[a-z0-9]{5}"), "kube-api-access-<chance>"),
    (re.compile(r"\b10\.(9[6-9]|10\d|11[01])\.\d+\.\d+\b"), "<address of a Service>"),
    (re.compile(r":3[0-2]\d{3}/"), ":<node port>/"),
)
#: Fields that are never the same twice.
_CHANCE_FIELDS = frozenset({"resourceVersion", "continue", "clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort"})
#: Ages in tables.
_AGE = re.compile(r"\d+(ms|s|m)(\d+s)?")


@dataclass(frozen=True)
class Step:
    """One request. ``<<name.path>>`` in path and body stands for a part of the answer that was kept under that name."""

    method: str
    path: str
    body: Any = None
    kind: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: str = "last"


@dataclass(frozen=True)
class Case:
    """Requests in their order; ``<<ns>>`` is a namespace, and ``<<id>>`` a name, that only this case has."""

    name: str
    steps: tuple[Step, ...]
    #: Whether the words of refused fields are compared as well, or only which fields are refused, and why in kind.
    words: bool = True


@dataclass(frozen=True)
class Answer:
    code: int
    headers: dict[str, Any]
    body: Any


def get(path: str, keep: str = "last", **headers: str) -> Step:
    return Step("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}, keep=keep)


def post(path: str, body: Any, kind: str = JSON, keep: str = "last", **headers: str) -> Step:
    return Step("POST", path, body, kind, {name.replace("_", "-"): value for name, value in headers.items()}, keep)


def put(path: str, body: Any, keep: str = "last") -> Step:
    return Step("PUT", path, body, keep=keep)


def patch(path: str, body: Any, kind: str = MERGE, keep: str = "last") -> Step:
    return Step("PATCH", path, body, kind, keep=keep)


def apply(path: str, body: Any, manager: str = "one", query: str = "", keep: str = "last") -> Step:
    return Step("PATCH", f"{path}?fieldManager={manager}{query}", body, APPLY, keep=keep)


def delete(path: str, body: Any = None, kind: str = JSON) -> Step:
    return Step("DELETE", path, body, kind)


def settled(path: str, word: str, value: str) -> Step:
    """A get, until a condition of that type (or that field) has the value. It is not compared: controllers take their time."""
    return Step("SETTLE", path, (word, value))


def watch(path: str) -> Step:
    """Everything that the watch says until it ends by itself; the path has its ``timeoutSeconds``."""
    return Step("WATCH", path)


class Side:
    """One of the servers, with what its answers were."""

    def __init__(self, client: Client, **kept: Any) -> None:
        self._client = client
        self._kept: dict[str, Any] = dict(kept)
        self._connection: http.client.HTTPSConnection | None = None

    def run(self, step: Step) -> Answer:
        if step.method == "SETTLE":
            eventually(lambda: _says(self._ask(get(step.path)).body, *step.body), 60, step.path)
            return Answer(0, {}, None)
        answer = self._ask(step)
        self._kept[step.keep] = answer.body
        return answer

    def _ask(self, step: Step) -> Answer:
        headers = {"Accept": JSON, "User-Agent": USER_AGENT, "Authorization": f"Bearer {self._client.token}"}
        body = step.body
        if body is not None:
            headers["Content-Type"] = step.kind
            body = body if isinstance(body, bytes) else json.dumps(self._resolved(body)).encode()
        headers |= {name: self._resolved(value) for name, value in step.headers.items()}
        method = "GET" if step.method == "WATCH" else step.method
        path = urlsplit(self._client.base).path + self._resolved(step.path)
        if self._connection is None:
            self._connection = self._client.connect()
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            raw = response.read()
        except (http.client.HTTPException, OSError):
            self.close()
            raise
        kind = response.getheader("Content-Type") or ""
        shown = {"content-type": kind, "warning": response.headers.get_all("Warning") or []}
        if step.method == "WATCH" and response.status == 200:
            return Answer(200, shown, [json.loads(line) for line in raw.splitlines() if line])
        return Answer(response.status, shown, json.loads(raw) if raw and kind.startswith(JSON) else raw.decode(errors="replace"))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, str):
            whole = _REFERENCE.fullmatch(value)
            return self._named(whole[1]) if whole else _REFERENCE.sub(lambda match: str(self._named(match[1])), value)
        if isinstance(value, dict):
            return {self._resolved(key): self._resolved(entry) for key, entry in value.items()}
        return [self._resolved(entry) for entry in value] if isinstance(value, list) else value

    def _named(self, path: str) -> Any:
        found: Any = self._kept
        for part in path.split("."):
            found = found[int(part)] if isinstance(found, list) else found[part]
        return found


def _says(document: Any, word: str, value: str) -> bool:
    if not isinstance(document, dict):
        return False
    conditions = (document.get("status") or {}).get("conditions") or [] if isinstance(document.get("status"), dict) else []
    return document.get(word) == value or any((entry["type"], entry["status"]) == (word, value) for entry in conditions)


def normalized(value: Any) -> Any:
    """The document without what is never the same twice."""
    if isinstance(value, dict):
        plain = {key: "<chance>" if key in _CHANCE_FIELDS and entry else normalized(entry) for key, entry in value.items()}
        if plain.get("continue") == "":  # of lists of custom resources
            del plain["continue"]
        if isinstance(plain.get("verbs"), list):  # upstream lists those of custom resources in an order of their own
            plain["verbs"].sort()
        if plain.get("generateName") and plain.get("name", "").startswith(plain["generateName"][:58]):
            plain["name"] = f"{plain['generateName'][:58]}<chance>"
        if isinstance(plain.get("managedFields"), list):
            plain["managedFields"].sort(key=lambda entry: [str(entry.get(key)) for key in ("operation", "manager", "subresource")])
        if plain.get("kind") == "Table":
            _without_ages(plain)
        if isinstance(plain.get("causes"), list):  # kube-apiserver checks metadata twice, and says so twice
            plain["causes"] = [cause for index, cause in enumerate(plain["causes"]) if cause not in plain["causes"][:index]]
        if plain.get("details") == {}:
            del plain["details"]
        if str(plain.get("kind")).endswith("List") and isinstance(plain.get("items"), list):
            plain["items"] = [_without_type(entry) for entry in plain["items"]]
        return plain
    if isinstance(value, list):
        return [normalized(entry) for entry in value if not (isinstance(entry, dict) and _is_plain_bookmark(entry))]
    if isinstance(value, str):
        for pattern, new in _CHANCE:
            value = pattern.sub(new, value)
    return value


def _without_type(item: Any) -> Any:
    """kube-apiserver says in lists of built-in kinds the type of the list alone, and kplane-server that of each item as well."""
    return {key: value for key, value in item.items() if key not in ("apiVersion", "kind")} if isinstance(item, dict) else item


def _without_ages(table: dict[str, Any]) -> None:
    """Nor the words about the columns: their names, types, formats and priorities are compared."""
    for column in table.get("columnDefinitions") or []:
        column["description"] = ""
    ages = [
        index for index, column in enumerate(table.get("columnDefinitions") or []) if column["name"] in ("Age", "Last Seen", "First Seen")
    ]
    for row in table.get("rows") or []:
        for index in ages:
            row["cells"][index] = _AGE.sub("<age>", str(row["cells"][index]))


def _is_plain_bookmark(event: dict[str, Any]) -> bool:
    """A bookmark that only tells a revision: each server sends them when it likes."""
    return event.get("type") == "BOOKMARK" and not event["object"]["metadata"].get("annotations")


@dataclass(frozen=True)
class Difference:
    at: str
    kube: Any
    plane: Any

    def __str__(self) -> str:
        return f"{self.at}\n      kube-apiserver: {_short(self.kube)}\n      kplane-server:  {_short(self.plane)}"


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) < 900 else text[:900] + " …"


_ABSENT = "<absent>"


def differences(kube: Any, plane: Any, at: str) -> Iterator[Difference]:
    if isinstance(kube, dict) and isinstance(plane, dict):
        for key in sorted({*kube, *plane}):
            yield from differences(kube.get(key, _ABSENT), plane.get(key, _ABSENT), f"{at}.{key}")
    elif isinstance(kube, list) and isinstance(plane, list) and len(kube) == len(plane):
        for index, (one, other) in enumerate(zip(kube, plane, strict=True)):
            yield from differences(one, other, f"{at}[{index}]")
    elif kube != plane or type(kube) is not type(plane):
        yield Difference(at, kube, plane)


def compared(step: Step, index: int, kube: Answer, plane: Answer) -> list[Difference]:
    """Code, shown headers and body of one step."""
    if kube.code != plane.code:
        return [Difference(f"{index}.code", *(_told(answer) for answer in (kube, plane)))]
    found = list(differences(normalized(kube.headers), normalized(plane.headers), f"{index}.headers"))
    found += differences(normalized(kube.body), normalized(plane.body), f"{index}.body")
    return found


def _without_words(answer: Answer) -> Answer:
    """A refusal by what it is about: Go shows its own structs, and each server its causes in an order of its own."""
    if answer.code != 422:
        return answer
    body = {key: value for key, value in answer.body.items() if key != "message"}
    causes = {(cause["field"], cause["reason"]) for cause in body["details"].get("causes", [])}
    return Answer(
        422, answer.headers, {**body, "details": {**body["details"], "causes": sorted(f"{field}: {why}" for field, why in causes)}}
    )


def _told(answer: Answer) -> Any:
    """An answer in short, where the other is not even of its code."""
    shown = answer.body
    if isinstance(shown, dict) and shown.get("kind") == "Status":
        shown = {key: shown.get(key) for key in ("reason", "message")}
    return {"code": answer.code, "body": normalized(shown)}


@dataclass(frozen=True)
class Known:
    """A difference that is meant, or that is known and not mended: where, and why."""

    case: str
    at: tuple[str, ...]
    reason: str

    def covers(self, difference: Difference) -> bool:
        return any(fnmatch.fnmatchcase(difference.at, pattern.replace("[", "[[]")) for pattern in self.at)


def differing(case: Case, kube: Side, plane: Side) -> list[Difference]:
    """Run all steps of a case on both, in a namespace of its own, and tell where the answers differ."""
    found: list[Difference] = []
    for index, step in enumerate((*SETTING, *case.steps)):
        answers = (kube.run(step), plane.run(step))
        if index >= len(SETTING):
            shown = answers if case.words else tuple(_without_words(answer) for answer in answers)
            found += compared(step, index - len(SETTING), *shown)
    return found


#: The namespace and, where no controller makes it, its account.
SETTING = (
    post("/api/v1/namespaces", {"metadata": {"name": "<<ns>>"}}),
    post("/api/v1/namespaces/<<ns>>/serviceaccounts", {"metadata": {"name": "default"}}),
)
