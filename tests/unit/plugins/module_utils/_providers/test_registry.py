# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kplane.core.plugins.module_utils._errors import ProviderError
from ansible_collections.kplane.core.plugins.module_utils._providers import drivers, registry, requirements


def test_what_is_asked_for_is_taken():
    assert registry.choose("embedded", "kind", "/c") == ("embedded", "it was asked for")


def test_the_configuration_comes_next():
    assert registry.choose("auto", "embedded", "/c") == ("embedded", "/c names it")


def test_else_it_is_embedded_and_the_reason_names_the_others():
    choice = registry.choose("auto", "", "/c")
    assert choice.provider == "embedded"
    assert "kind" in choice.reason
    assert "k3s" in choice.reason


@pytest.mark.parametrize("provider", ["kind", "k3s", "k3d", "kubeconfig"])
@pytest.mark.parametrize("configured", [False, True])
def test_every_provider_of_the_contract_can_be_chosen(provider, configured):
    choice = registry.choose("auto" if configured else provider, provider if configured else "", "/c")
    assert choice.provider == registry.ALIASES.get(provider, provider)


def test_what_does_not_exist_says_so():
    with pytest.raises(ProviderError, match=r"There is no provider 'minikube' \(named by /c\)"):
        registry.choose("auto", "minikube", "/c")


def test_every_provider_of_the_contract_has_requirements_with_advice():
    needed = requirements.requirements()
    assert set(needed) == set(drivers.PROVIDERS)
    for entries in needed.values():
        for entry in entries:
            assert entry.hint
            assert entry.summary()["hint"] == ("" if entry.found else entry.hint)


def test_a_docker_without_a_daemon_is_no_docker(tmp_path, monkeypatch):
    for name, code in (("docker", 1), ("kind", 0)):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\nexit {code}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert not requirements.container_provider_ready("kind")
    (tmp_path / "docker").write_text("#!/bin/sh\necho 28.0\n")
    assert requirements.container_provider_ready("kind")
    assert not requirements.container_provider_ready("k3d-that-is-not-there")
