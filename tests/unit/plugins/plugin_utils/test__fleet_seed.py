# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.plugin_utils import _fleet_seed as seed

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
TEXT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def no_template(content, path):
    raise AssertionError(path)


def test_every_way_to_declare_manifests(tmp_path):
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "one.yml").write_text(TEXT + "---\n" + TEXT.replace("name: a", "name: b"))
    (tmp_path / "seeds" / "two.json").write_text('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}')
    (tmp_path / "seeds" / "notes.txt").write_text("not a manifest")
    (tmp_path / "t.yml.j2").write_text(TEXT.replace("name: a", "name: NAME"))
    sources = seed.Sources()
    declared = [
        "seeds",
        "seeds/*.json",
        {"file": "seeds/one.yml"},
        {"template": "t.yml.j2"},
        TEXT,
        MAP,
        [MAP, None],
        {"apiVersion": "v1", "kind": "List", "items": [MAP]},
    ]
    found = sources.documents(declared, lambda content, path: content.replace("NAME", "rendered"), str(tmp_path))
    assert [document["metadata"]["name"] for document in found] == ["a", "b", "c", "c", "a", "b", "rendered", "a", "a", "a", "a"]


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ("missing.yml", "there is no file"),
        ({"kind": "ConfigMap"}, "without apiVersion, kind or metadata.name"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-"}}, "without apiVersion"),
        ([3], "not a manifest"),
        ("a: [\n", "not valid YAML"),
    ],
)
def test_what_is_not_a_manifest(tmp_path, declared, words):
    with pytest.raises(KplaneError, match=words):
        seed.Sources().documents(declared, no_template, str(tmp_path))


def test_dates_stay_text():
    (document,) = seed.Sources().documents(TEXT + "data: {when: 2026-01-01}\n", no_template, "/")
    assert document["data"]["when"] == "2026-01-01"


def test_namespaces_and_definitions_come_first():
    kinds = ["ConfigMap", "CustomResourceDefinition", "Widget", "Namespace"]
    documents = [{"kind": kind, "apiVersion": "v1", "metadata": {"name": "x"}} for kind in kinds]
    assert [document["kind"] for document in seed.ordered(documents)] == ["Namespace", "CustomResourceDefinition", "ConfigMap", "Widget"]
    definition = {"kind": "CustomResourceDefinition", "spec": {"group": "example.com"}}
    assert seed.definitions([definition, MAP]) == {"example.com"}
