# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import sys

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _auth, _kubeconfig
from ansible_collections.kplane.core.plugins.module_utils._errors import KubeconfigError

SERVER = {"server": "https://127.0.0.1:8443/"}


def authorization(user, base=""):
    return _auth.entry_connection({"server": "http://x"}, user, str(base)).headers.get("Authorization", "")


def test_a_token():
    assert authorization({"token": "abc"}) == "Bearer abc"


def test_a_token_file_wins_over_a_token_and_is_relative_to_the_kubeconfig(tmp_path):
    (tmp_path / "t").write_text("from-file\n")
    assert authorization({"token": "abc", "tokenFile": "t"}, tmp_path) == "Bearer from-file"
    with pytest.raises(KubeconfigError, match="token file"):
        authorization({"tokenFile": "missing"}, tmp_path)


def test_basic_authentication():
    assert authorization({"username": "u", "password": "p"}) == "Basic " + base64.b64encode(b"u:p").decode()


def test_nobody():
    assert authorization({}) == ""


def test_an_old_provider_is_refused_with_advice():
    with pytest.raises(KubeconfigError, match="exec"):
        authorization({"auth-provider": {"name": "gcp"}})


def plugin(tmp_path, body):
    script = tmp_path / "plugin"
    script.write_text(f"#!{sys.executable}\nimport json, os, sys\n{body}\n")
    script.chmod(0o755)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(script),
            "args": ["a"],
            "env": [{"name": "E", "value": "v"}],
        }
    }


def test_a_credential_plugin(tmp_path):
    body = (
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "token = '-'.join([info['kind'], info['apiVersion'].rsplit('/')[-1], os.environ['E'], *sys.argv[1:]])\n"
        "print(json.dumps({'kind': 'ExecCredential', 'status': {'token': token}}))"
    )
    assert authorization(plugin(tmp_path, body)) == "Bearer ExecCredential-v1-v-a"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("print('no json')", "printed no ExecCredential"),
        ("print(json.dumps({'status': {}}))", "neither a token nor a client certificate"),
        ("sys.exit('log in first')", "ended with code 1: log in first"),
    ],
)
def test_a_credential_plugin_that_fails(tmp_path, body, said):
    with pytest.raises(KubeconfigError, match=said):
        authorization(plugin(tmp_path, body))


def test_a_credential_plugin_that_is_not_there_comes_with_its_hint():
    with pytest.raises(KubeconfigError, match=r"not installed\. Get it from us"):
        authorization({"exec": {"command": "no-such-plugin-here", "installHint": "Get it from us"}})


def test_a_client_certificate_has_to_be_one(tmp_path):
    garbage = base64.b64encode(b"garbage").decode()
    before = set(tmp_path.iterdir())
    with pytest.raises(KubeconfigError, match="client certificate"):
        _auth.entry_connection(SERVER, {"client-certificate-data": garbage, "client-key-data": garbage})
    assert set(tmp_path.iterdir()) == before


def test_data_has_to_be_base64():
    with pytest.raises(KubeconfigError, match="certificate-authority-data is not valid base64"):
        _auth.entry_connection({**SERVER, "certificate-authority-data": "???"}, {})


def test_an_authority_has_to_be_one():
    with pytest.raises(KubeconfigError, match="certificate authority"):
        _auth.entry_connection({**SERVER, "certificate-authority-data": base64.b64encode(b"no pem").decode()}, {}, name="c")


def test_a_server_that_is_not_to_be_verified_gets_no_credential():
    with pytest.raises(KubeconfigError, match="insecure-skip-tls-verify"):
        _auth.entry_connection({**SERVER, "insecure-skip-tls-verify": True}, {"token": "t"}, name="c")


@pytest.mark.parametrize("server", ["ftp://x", "127.0.0.1:8443", "https://", "/path"])
def test_a_server_has_to_be_a_url(server):
    with pytest.raises(KubeconfigError, match="URL"):
        _auth.entry_connection({"server": server}, {})


def test_verification_is_on_and_checks_the_name():
    context = _auth.entry_connection(SERVER, {}).ssl_context
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


def document():
    entries = _kubeconfig.EntrySet("one", {"server": "http://one"}, {"token": "t"}, "p")
    return _kubeconfig.merge(_kubeconfig.empty(), entries)


def test_a_context_is_found_by_name_or_because_it_is_current():
    found = _auth.connection(_kubeconfig.set_current(document(), "one"), None, "", "file")
    assert (found.server, found.context, found.headers) == ("http://one", "one", {"Authorization": "Bearer t"})
    assert _auth.connection(document(), "one", "", "file").server == "http://one"


@pytest.mark.parametrize(("name", "said"), [(None, "no current context"), ("two", "no context 'two'; it has: one")])
def test_a_context_that_is_not_there_comes_with_those_that_are(name, said):
    with pytest.raises(KubeconfigError, match=said):
        _auth.connection(document(), name, "", "file")


def test_a_context_without_a_cluster_is_named():
    broken = _kubeconfig.drop_entry(document(), "clusters", "one")
    with pytest.raises(KubeconfigError, match="'one' of file names no cluster"):
        _auth.connection(broken, "one", "", "file")
