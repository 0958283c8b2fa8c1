# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of ``metadata``: names, label and annotation syntax, owner references, finalizers.

Functions that end in ``_problems`` return texts (empty when all is well); those that end in ``_causes`` return field errors.
Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and the API conventions' "Metadata".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from kplane_server.model.errors import Cause, Json, field_forbidden, field_invalid, field_required

#: Keys and values of all annotations together may not be longer than this (bytes).
TOTAL_ANNOTATION_SIZE_LIMIT: Final = 256 * 1024
QUALIFIED_NAME_MAX_LENGTH: Final = 63
LABEL_VALUE_MAX_LENGTH: Final = 63
FINALIZER_ORPHAN: Final = "orphan"
FINALIZER_FOREGROUND: Final = "foregroundDeletion"
_STANDARD_FINALIZERS: Final = frozenset({"kubernetes", FINALIZER_ORPHAN, FINALIZER_FOREGROUND})
FIELD_MANAGER_MAX_LENGTH: Final = 128

_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_DNS1123_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS1123_SUBDOMAIN = rf"{_DNS1123_LABEL}(\.{_DNS1123_LABEL})*"
_DNS1035_LABEL = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED_TEXT = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"

_qualified_match = re.compile(_QUALIFIED).fullmatch
_label_value_match = re.compile(_LABEL_VALUE).fullmatch
_dns1123_label_match = re.compile(_DNS1123_LABEL).fullmatch
_dns1123_subdomain_match = re.compile(_DNS1123_SUBDOMAIN).fullmatch
_dns1035_label_match = re.compile(_DNS1035_LABEL).fullmatch

#: A rule for names: (name, whether it is only a generateName prefix) -> problems.
NameRule = Callable[[str, bool], list[str]]


def regex_problem(text: str, pattern: str, *examples: str) -> str:
    """A sentence about a pattern that does not match, worded as Kubernetes words it."""
    if not examples:
        return f"{text} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {shown}regex used for validation is '{pattern}')"


def too_long_problem(limit: int) -> str:
    """A sentence about a text longer than ``limit`` characters."""
    return f"must be no more than {limit} characters"


def dns1123_subdomain_problems(value: str) -> list[str]:
    """Why ``value`` is not a DNS-1123 subdomain: the rule for most object names."""
    problems = [too_long_problem(253)] if len(value) > 253 else []
    if not _dns1123_subdomain_match(value):
        text = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
        problems.append(regex_problem(text, _DNS1123_SUBDOMAIN, "example.com"))
    return problems


def dns1123_label_problems(value: str) -> list[str]:
    """Why ``value`` is not a DNS-1123 label: the rule for namespaces."""
    problems = [too_long_problem(63)] if len(value) > 63 else []
    if not _dns1123_label_match(value):
        if _dns1123_subdomain_match(value):
            problems.append("must not contain dots")
        else:
            text = (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
                "and must start and end with an alphanumeric character"
            )
            problems.append(regex_problem(text, _DNS1123_LABEL, "my-name", "123-abc"))
    return problems


def dns1035_label_problems(value: str) -> list[str]:
    """Why ``value`` is not a DNS-1035 label: the rule for Services, and for the names of a CRD."""
    problems = [too_long_problem(63)] if len(value) > 63 else []
    if not _dns1035_label_match(value):
        text = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
            "and end with an alphanumeric character"
        )
        problems.append(regex_problem(text, _DNS1035_LABEL, "my-name", "abc-123"))
    return problems


def path_segment_problems(value: str) -> list[str]:
    """Why ``value`` cannot be one segment of a URL path: the rule for RBAC names."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{illegal}'" for illegal in ("/", "%") if illegal in value]


@lru_cache(maxsize=4096)
def _qualified_name_problems(value: str) -> tuple[str, ...]:
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        text = regex_problem(_QUALIFIED_TEXT, _QUALIFIED, "MyName", "my.name", "123-abc")
        return (f"a qualified name {text} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    problems: list[str] = []
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif prefix:
        problems.extend(f"prefix part {problem}" for problem in dns1123_subdomain_problems(prefix))
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > QUALIFIED_NAME_MAX_LENGTH:
        problems.append(f"name part {too_long_problem(QUALIFIED_NAME_MAX_LENGTH)}")
    if not _qualified_match(name):
        problems.append(f"name part {regex_problem(_QUALIFIED_TEXT, _QUALIFIED, 'MyName', 'my.name', '123-abc')}")
    return tuple(problems)


def qualified_name_problems(value: str) -> list[str]:
    """Why ``value`` is not a qualified name (``[prefix/]name``): the rule for label keys, annotation keys and finalizers."""
    if len(value) > 1024:  # never a key of the cache below; the texts do not repeat the value
        return [f"name part {too_long_problem(QUALIFIED_NAME_MAX_LENGTH)}"]
    return list(_qualified_name_problems(value))


def label_value_problems(value: str) -> list[str]:
    """Why ``value`` is not a label value."""
    problems = [too_long_problem(LABEL_VALUE_MAX_LENGTH)] if len(value) > LABEL_VALUE_MAX_LENGTH else []
    if not _label_value_match(value):
        text = f"a valid label must be an empty string or consist of {_QUALIFIED_TEXT.removeprefix('must consist of ')}"
        problems.append(regex_problem(text, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return problems


def subdomain_name(name: str, prefix: bool = False) -> list[str]:
    """Name rule: DNS-1123 subdomain (most kinds)."""
    return dns1123_subdomain_problems(_mask_trailing_dash(name) if prefix else name)


def label_name(name: str, prefix: bool = False) -> list[str]:
    """Name rule: DNS-1123 label (namespaces)."""
    return dns1123_label_problems(_mask_trailing_dash(name) if prefix else name)


def label_1035_name(name: str, prefix: bool = False) -> list[str]:
    """Name rule: DNS-1035 label (services)."""
    return dns1035_label_problems(_mask_trailing_dash(name) if prefix else name)


def path_segment_name(name: str, prefix: bool = False) -> list[str]:
    """Name rule: one URL path segment (RBAC)."""
    del prefix  # a prefix follows the same rule
    return path_segment_problems(name)


def _mask_trailing_dash(prefix: str) -> str:
    """A generateName may end with a dash, because a suffix follows."""
    return prefix[:-1] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix


def label_causes(labels: Json, field: str) -> list[Cause]:
    """What is wrong with a map of labels."""
    causes: list[Cause] = []
    for key, value in (labels or {}).items():
        causes.extend(field_invalid(field, key, problem) for problem in qualified_name_problems(key))
        causes.extend(field_invalid(field, value, problem) for problem in label_value_problems(value))
    return causes


def annotation_causes(annotations: Json, field: str) -> list[Cause]:
    """What is wrong with a map of annotations."""
    causes: list[Cause] = []
    size = 0
    for key, value in (annotations or {}).items():
        size += len(key.encode()) + len(value.encode())
        causes.extend(field_invalid(field, key, problem) for problem in qualified_name_problems(key.lower()))
    if size > TOTAL_ANNOTATION_SIZE_LIMIT:
        causes.append(Cause("FieldValueTooLong", f"Too long: may not be more than {TOTAL_ANNOTATION_SIZE_LIMIT} bytes", field))
    return causes


def owner_reference_causes(references: Json, field: str) -> list[Cause]:
    """What is wrong with a list of owner references."""
    causes: list[Cause] = []
    controller = ""
    for reference in references or ():
        api_version, kind = reference.get("apiVersion") or "", reference.get("kind") or ""
        if not api_version.rpartition("/")[2]:
            causes.append(field_invalid(f"{field}.apiVersion", api_version, "version must not be empty"))
        for key in ("kind", "name", "uid"):
            if not reference.get(key):
                causes.append(field_invalid(f"{field}.{key}", reference.get(key) or "", "must not be empty"))
        if (api_version, kind) == ("v1", "Event"):
            causes.append(field_invalid(field, reference, "/v1, Kind=Event is disallowed from being an owner"))
        if reference.get("controller") is True:
            current = f"{kind}/{reference.get('name')}"
            if controller:
                text = f'Only one reference can have Controller set to true. Found "true" in references for {controller} and {current}'
                causes.append(field_invalid(field, references, text))
            controller = controller or current
    return causes


def finalizer_causes(finalizers: Sequence[str], field: str) -> list[Cause]:
    """What is wrong with a list of finalizers."""
    causes = [field_invalid(field, name, problem) for name in finalizers for problem in qualified_name_problems(name)]
    if FINALIZER_ORPHAN in finalizers and FINALIZER_FOREGROUND in finalizers:
        causes.append(field_invalid(field, list(finalizers), f"finalizer {FINALIZER_FOREGROUND} and {FINALIZER_ORPHAN} cannot be both set"))
    return causes


def bare_finalizer_causes(metadata: Mapping[str, Json], field: str = "metadata") -> list[Cause]:
    """The further rule of built-in kinds: a finalizer of somebody's own names its domain."""
    why = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        field_invalid(f"{field}.finalizers[{index}]", name, why)
        for index, name in enumerate(metadata.get("finalizers") or ())
        if "/" not in name and name not in _STANDARD_FINALIZERS
    ]


def metadata_causes(metadata: Mapping[str, Json], *, namespaced: bool, rule: NameRule, field: str = "metadata") -> list[Cause]:
    """What is wrong with the metadata of an object that is about to be created."""
    causes: list[Cause] = []
    name, prefix = metadata.get("name") or "", metadata.get("generateName") or ""
    namespace = metadata.get("namespace") or ""
    if prefix:
        causes += [field_invalid(f"{field}.generateName", prefix, problem) for problem in rule(prefix, True)]
    if not name:
        causes.append(field_required(f"{field}.name", "name or generateName is required"))
    else:
        causes += [field_invalid(f"{field}.name", name, problem) for problem in rule(name, False)]
    if namespaced and not namespace:
        causes.append(field_required(f"{field}.namespace"))
    elif namespaced:
        causes += [field_invalid(f"{field}.namespace", namespace, problem) for problem in label_name(namespace)]
    elif namespace:
        causes.append(field_forbidden(f"{field}.namespace", "not allowed on this type"))
    return causes + _common_causes(metadata, field)


#: What never changes after an object was created.
_IMMUTABLE: Final = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def metadata_update_causes(new: Mapping[str, Json], old: Mapping[str, Json], field: str = "metadata") -> list[Cause]:
    """What is wrong with a change of metadata."""
    causes: list[Cause] = []
    if old.get("deletionTimestamp"):
        extra = sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))
        if extra:
            shown = "[]string{" + ", ".join(f'"{name}"' for name in extra) + "}"
            why = f"no new finalizers can be added if the object is being deleted, found new finalizers {shown}"
            causes.append(field_forbidden(f"{field}.finalizers", why))
    for key in _IMMUTABLE:
        if new.get(key) != old.get(key):
            causes.append(field_invalid(f"{field}.{key}", new.get(key), "field is immutable"))
    return causes + _common_causes(new, field)


def field_manager_problems(manager: str) -> list[str]:
    """Why ``manager`` is not a field manager's name."""
    problems = []
    if len(manager.encode()) > FIELD_MANAGER_MAX_LENGTH:
        problems.append(f"may not be more than {FIELD_MANAGER_MAX_LENGTH} bytes")
    if not manager.isprintable():
        problems.append("should only contain printable characters")
    return problems


def managed_fields_causes(entries: Json, field: str) -> list[Cause]:
    """What is wrong with ``metadata.managedFields`` as a client sent it."""
    causes: list[Cause] = []
    for index, entry in enumerate(entries or ()):
        at = f"{field}[{index}]"
        if entry.get("operation") not in ("Apply", "Update"):
            causes.append(field_invalid(f"{at}.operation", entry.get("operation") or "", "must be `Apply` or `Update`"))
        if entry.get("fieldsType") not in (None, "", "FieldsV1"):
            causes.append(field_invalid(f"{at}.fieldsType", entry.get("fieldsType"), "must be `FieldsV1`"))
        causes.extend(field_invalid(f"{at}.manager", entry.get("manager"), p) for p in field_manager_problems(entry.get("manager") or ""))
        if len(entry.get("subresource") or "") > 256:
            causes.append(Cause("FieldValueTooLong", "Too long: may not be more than 256 bytes", f"{at}.subresource"))
    return causes


#: What judges the parts of metadata that most objects do not have, in the order of their causes.
_PARTS: Final[tuple[tuple[str, Callable[[Json, str], list[Cause]]], ...]] = (
    ("labels", label_causes),
    ("annotations", annotation_causes),
    ("ownerReferences", owner_reference_causes),
    ("managedFields", managed_fields_causes),
    ("finalizers", finalizer_causes),
)


def _common_causes(metadata: Mapping[str, Json], field: str) -> list[Cause]:
    """The rules that hold for a create and an update alike."""
    causes: list[Cause] = []
    for name, causes_of in _PARTS:
        if part := metadata.get(name):
            causes += causes_of(part, f"{field}.{name}")
    return causes
