# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials of VCPs for the time of one Ansible run: taken when they are needed, one at a time.

Files lie in the private temporary directory of the run, which Ansible removes at its end; the user's own kubeconfig is never read
for them and never written.
PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import hashlib
import os
import typing as t

from ansible import constants

from ansible_collections.kplane.core.plugins.module_utils import _argspec, _contract, _io, _plane, _vcp, _yaml
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, NotFound, WaitFailed
from ansible_collections.kplane.core.plugins.module_utils._wait import describe
from ansible_collections.kplane.core.plugins.plugin_utils import _fleet_handout, _fleet_spec
from ansible_collections.kplane.core.plugins.plugin_utils._vcp_clients import offer_of

#: The options that say which management plane is meant.
PLANE_OPTIONS: t.Final = (*_argspec.PLANE, *_argspec.CONNECTION)


def directory() -> str:
    """Where the files of this run lie."""
    return os.path.join(str(getattr(constants, "DEFAULT_LOCAL_TMP")), "kplane")  # noqa: B009 (made at run time)


def path_of(options: t.Mapping[str, t.Any], name: str) -> str:
    """The file of a VCP in this run."""
    identity = _fleet_spec.plane_key({key: value for key, value in options.items() if value is not None}) + "\0" + name
    return os.path.join(directory(), hashlib.sha256(identity.encode()).hexdigest()[:32] + ".kubeconfig")


def content(options: t.Mapping[str, t.Any], name: str) -> bytes:
    """The kubeconfig of a VCP, asked of its management plane now."""
    problem = _contract.vcp_name_problem(name)
    if problem:
        raise KplaneError(problem)
    reached = _plane.reach(options)
    with reached.client as client:
        try:
            control_plane = client.get(_contract.CONTROL_PLANES, name)
        except NotFound as exc:
            raise KplaneError(f"There is no virtual control plane {name!r} on {client.server}") from exc
        if not (control_plane.get("status") or {}).get("kubeconfigSecretRef") and _vcp.readiness(name, control_plane) is not True:
            raise WaitFailed(f"{name} is not ready, so it has no credential yet. {describe(control_plane)}")
        return _fleet_handout.render(offer_of(client, control_plane), name, reached.context, str(control_plane["metadata"]["uid"]))


def document(options: t.Mapping[str, t.Any], name: str) -> t.Any:
    """The same as data."""
    return _yaml.load(content(options, name), name)


def file(options: t.Mapping[str, t.Any], name: str) -> str:
    """The path of a file that holds it; asked for once in a run, and again when it is about to end."""
    path = path_of(options, name)
    stamp = _fleet_handout.stamp_of(_io.read_bytes(path))
    if stamp is None or not stamp.good(stamp.uid, ""):
        _io.ensure_directory(directory())
        _io.write_atomic(path, content(options, name), 0o600)
    return path
