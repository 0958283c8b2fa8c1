# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _credentials, _yaml
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, NotFound

READY = {
    "metadata": {"name": "demo", "generation": 1},
    "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]},
}


def secret(cluster, key="kubeconfig-external"):
    """The Secret of a control plane."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": {"token": "of the control plane"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    return {"data": {key: base64.b64encode(_yaml.dump(document)).decode()}}


class Plane:
    """A management plane whose operator wrote what it is given, beside the kubeconfig of its administrator."""

    server = "https://plane.example"

    def __init__(self, **secrets):
        self.secrets = {"apiserver-kubeconfig": secret({"server": "https://all.example"}, "kubeconfig"), **secrets}
        self.asked = []

    def get(self, resource, name, namespace=""):
        self.asked.append(name)
        if resource.kind == "ControlPlane":
            return READY
        if name not in self.secrets:
            raise NotFound("not there", code=404)
        return self.secrets[name]


def test_the_kubeconfig_for_clients_outside_is_taken():
    plane = Plane(**{"controlplane-demo-kubeconfig": secret({"server": "https://demo.example", "certificate-authority-data": "QQ=="})})
    offer = _credentials.secret_offer(plane, "demo")
    assert offer.cluster == {"server": "https://demo.example", "certificate-authority-data": "QQ=="}
    assert offer.token == "of the control plane"


def test_one_that_does_not_verify_is_not_handed_out():
    plane = Plane(**{"controlplane-demo-kubeconfig": secret({"server": "https://demo.example", "insecure-skip-tls-verify": True})})
    with pytest.raises(KplaneError, match="does not verify its server"):
        _credentials.secret_offer(plane, "demo")


@pytest.mark.parametrize("secrets", [{}, {"controlplane-demo-kubeconfig": secret({"server": "https://demo.example"}, "kubeconfig")}])
def test_there_is_no_other_credential_instead(secrets):
    """Neither the administrator's, which opens every control plane, nor that for inside the cluster."""
    plane = Plane(**secrets)
    with pytest.raises(KplaneError, match=r"does not exist|has no key 'kubeconfig-external'"):
        _credentials.secret_offer(plane, "demo")
    assert "apiserver-kubeconfig" not in plane.asked
