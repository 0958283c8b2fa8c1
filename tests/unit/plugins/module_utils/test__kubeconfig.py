# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws of kubeconfig documents."""

from __future__ import annotations

import copy

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.kplane.core.plugins.module_utils import _kubeconfig
from ansible_collections.kplane.core.plugins.module_utils._errors import KubeconfigError

NAMES = st.sampled_from(["a", "b", "kplane-demo", "kplane-other", "kind-x", "embedded-work"])
TEXT = st.text("abcdef0123", min_size=1, max_size=8)


def _section(key, value):
    entries = st.lists(st.tuples(NAMES, value), max_size=5)
    return entries.map(lambda pairs: [{"name": name, key: item} for name, item in dict(pairs).items()])


CLUSTERS = st.fixed_dictionaries(
    {"server": TEXT.map("https://{}".format)}, optional={"certificate-authority-data": TEXT, "proxy-url": TEXT}
)
USERS = st.dictionaries(st.sampled_from(["token", "password", "client-key-data", "username"]), TEXT, max_size=3)
FOREIGN = st.just([{"name": "minikube.sigs.k8s.io", "extension": {"version": "v1"}}])
CONTEXTS = st.fixed_dictionaries({"cluster": NAMES, "user": NAMES}, optional={"namespace": TEXT, "extensions": FOREIGN})
DOCUMENTS = st.builds(
    lambda clusters, contexts, users, current, extra: {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": clusters,
        "contexts": contexts,
        "users": users,
        "current-context": current,
        **extra,
    },
    _section("cluster", CLUSTERS),
    _section("context", CONTEXTS),
    _section("user", USERS),
    st.just("") | NAMES,
    st.dictionaries(st.sampled_from(["preferences", "x-mine"]), st.just({"colors": True}), max_size=2),
)
ENTRIES = st.builds(
    _kubeconfig.EntrySet,
    name=st.sampled_from(["kplane-demo", "kplane-other"]),
    cluster=CLUSTERS,
    user=USERS,
    plane=st.just("embedded-work"),
    vcp=st.just("demo"),
    namespace=st.just("") | TEXT,
)


def others(document, name):
    """Everything in a document but the entries of one name."""
    result = {key: value for key, value in document.items() if key not in _kubeconfig.SECTIONS}
    for section in _kubeconfig.SECTIONS:
        result[section] = [entry for entry in document.get(section) or [] if entry["name"] != name]
    return result


@given(DOCUMENTS, ENTRIES)
def test_merging_twice_is_merging_once(document, entries):
    once = _kubeconfig.merge(document, entries)
    assert _kubeconfig.merge(once, entries) == once


@given(DOCUMENTS, ENTRIES)
def test_merging_sets_the_entries_and_nothing_else(document, entries):
    before = copy.deepcopy(document)
    merged = _kubeconfig.merge(document, entries)
    assert document == before, "the document that was given is not changed in place"
    assert others(merged, entries.name) == others(document, entries.name)
    assert _kubeconfig.find(merged, "clusters", entries.name) == entries.cluster
    assert _kubeconfig.find(merged, "users", entries.name) == entries.user
    context = _kubeconfig.find(merged, "contexts", entries.name)
    assert (context["cluster"], context["user"]) == (entries.name, entries.name)
    assert _kubeconfig.owner_of(context) == ("embedded-work", "demo")


@given(DOCUMENTS, ENTRIES)
def test_each_name_is_there_once(document, entries):
    merged = _kubeconfig.merge(document, entries)
    for section in _kubeconfig.SECTIONS:
        assert _kubeconfig.names(merged, section).count(entries.name) == 1


@given(DOCUMENTS, ENTRIES)
def test_removing_takes_out_what_merging_put_in(document, entries):
    clean = others(document, entries.name)
    # Contexts of others that use a cluster or a user of that name would keep it alive.
    assume(not any(entries.name in (entry["context"]["cluster"], entry["context"]["user"]) for entry in clean["contexts"]))
    expected = {**clean, "current-context": ""} if clean["current-context"] == entries.name else clean
    assert _kubeconfig.remove(_kubeconfig.merge(clean, entries), entries.name) == expected


@given(DOCUMENTS, NAMES)
def test_removing_leaves_everything_else(document, name):
    removed = _kubeconfig.remove(document, name)
    assert name not in _kubeconfig.names(removed)
    expected = others(document, name)
    if document["current-context"] == name:
        expected["current-context"] = ""
    assert others(removed, name) == expected
    assert _kubeconfig.remove(removed, name) == removed


@given(DOCUMENTS, NAMES)
def test_removing_never_takes_what_another_context_uses(document, name):
    removed = _kubeconfig.remove(document, name)
    for entry in removed["contexts"]:
        for section, key in (("clusters", "cluster"), ("users", "user")):
            target = entry["context"][key]
            assert _kubeconfig.find(removed, section, target) == _kubeconfig.find(document, section, target)


@given(DOCUMENTS, ENTRIES, ENTRIES)
def test_different_entries_can_be_merged_in_any_order(document, one, two):
    assume(one.name != two.name)
    first = _kubeconfig.merge(_kubeconfig.merge(document, one), two)
    second = _kubeconfig.merge(_kubeconfig.merge(document, two), one)
    for section in _kubeconfig.SECTIONS:
        assert sorted(first[section], key=lambda entry: entry["name"]) == sorted(second[section], key=lambda entry: entry["name"])


@given(DOCUMENTS)
def test_no_secret_survives_redaction_and_every_secret_is_known(document):
    found = _kubeconfig.secrets(document)
    expected = {value for entry in document["users"] for key, value in entry["user"].items() if key != "username"}
    assert found == expected
    redacted = _kubeconfig.redact(document)
    for entry in redacted["users"]:
        assert all(value == "VALUE_REMOVED" for key, value in entry["user"].items() if key != "username")
    assert redacted["clusters"] == document["clusters"], "addresses and certificate authorities are not secret"


def test_what_the_user_gave_to_a_context_stays():
    document = _kubeconfig.set_entry(
        _kubeconfig.empty(),
        "contexts",
        "kplane-demo",
        {"cluster": "x", "user": "y", "namespace": "mine", "extensions": [{"name": "other", "extension": {}}]},
    )
    merged = _kubeconfig.merge(document, _kubeconfig.EntrySet("kplane-demo", {"server": "https://s"}, {"token": "t"}, "plane", "demo"))
    context = _kubeconfig.find(merged, "contexts", "kplane-demo")
    assert context["namespace"] == "mine"
    assert {"name": "other", "extension": {}} in context["extensions"]


@pytest.mark.parametrize(
    "document",
    [
        [],
        "text",
        1,
        {"kind": "Pod"},
        {"clusters": {}},
        {"contexts": [1]},
        {"users": [{"name": 1}]},
        {"clusters": [{"cluster": {}}]},
        {"users": [{"name": "a", "user": []}]},
    ],
)
def test_what_is_not_a_kubeconfig_is_refused(document):
    with pytest.raises(KubeconfigError, match="config-file"):
        _kubeconfig.check(document, "config-file")


@pytest.mark.parametrize("document", [{}, {"clusters": None}, {"kind": "Config"}, _kubeconfig.empty()])
def test_what_is_sparse_is_accepted(document):
    assert _kubeconfig.check(document, "x") == document


def test_an_empty_file_is_an_empty_kubeconfig():
    assert _kubeconfig.check(None, "x") == _kubeconfig.empty()
