# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said in two places is said alike."""

from __future__ import annotations

import ast
import os
import re

import pytest
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODULES = sorted(name[:-3] for name in os.listdir(os.path.join(ROOT, "plugins", "modules")) if name.startswith("kplane_"))


def read_yaml(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as handle:
        return yaml.safe_load(handle)


def fragments(module):
    """The doc fragments that a module extends."""
    with open(os.path.join(ROOT, "plugins", "modules", module + ".py"), encoding="utf-8") as handle:
        tree = ast.parse(handle.read())
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "DOCUMENTATION":
            return {name.rsplit(".", 1)[-1] for name in yaml.safe_load(node.value.value)["extends_documentation_fragment"]}
    raise AssertionError(f"{module} has no documentation")


@pytest.mark.parametrize(("group", "fragment"), [("kplane", "_plane"), ("kplane_api", "_connection")])
def test_action_groups_hold_what_takes_their_options(group, fragment):
    members = read_yaml("meta", "runtime.yml")["action_groups"][group]
    assert members == [module for module in MODULES if fragment in fragments(module)]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_which_groups_it_is_in(module):
    used = fragments(module)
    expected = "actiongroup_kplane_api" if "_connection" in used else "actiongroup_kplane" if "_plane" in used else None
    assert {name for name in used if name.startswith("actiongroup")} == ({expected} if expected else set())


def test_the_server_that_is_installed_belongs_to_this_release():
    from ansible_collections.kplane.core.plugins.module_utils._contract import SERVER_REQUIREMENT

    assert "kplane-server==" + read_yaml("galaxy.yml")["version"] == SERVER_REQUIREMENT


ROLES = sorted(os.listdir(os.path.join(ROOT, "roles")))


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_of_a_role_is_documented_and_every_documented_one_is_used(role):
    options = read_yaml("roles", role, "meta", "argument_specs.yml")["argument_specs"]
    documented = {name for entry in options.values() for name in entry.get("options") or {}}
    optional, mentioned = set(), set()
    for part in ("tasks", "templates", "vars", "defaults"):
        for folder, _folders, names in os.walk(os.path.join(ROOT, "roles", role, part)):
            for name in names:
                with open(os.path.join(folder, name), encoding="utf-8") as handle:
                    text = handle.read()
                mentioned |= set(re.findall(r"\bkplane_\w+", text))
                if part == "tasks":
                    optional |= set(re.findall(r"\b(kplane_\w+) (?:\| default|is defined)", text))
    assert optional <= documented, "used but not documented"
    # A fleet's variables are those of its hosts: its action plugin reads them by name, and its own tests hold them.
    assert role == "fleet" or documented <= mentioned, "documented but not used"
