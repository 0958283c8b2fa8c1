# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup and restore of whatever management plane the options lead to: a kplane-server, or a stack in a cluster.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.kplane.core.plugins.module_utils import (
    _backup_file,
    _config,
    _io,
    _plane,
    _portforward,
    _stack_backup,
    _stack_restore,
)
from ansible_collections.kplane.core.plugins.module_utils._errors import ProviderError, ProviderMissing
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Driver
from ansible_collections.kplane.core.plugins.module_utils._providers.embedded import EmbeddedDriver

Json = t.Dict[str, t.Any]

#: How kplane-server says that a restore would replace control planes.
_NOT_EMPTY: t.Final = "NotEmpty"
_BEHIND: t.Final = (
    "The revisions of etcd begin below those of the backup, because it was made anew and the difference is too large to be caught up: "
    "programs that watch virtual control planes since before the restore have to be started again."
)


def _driver(params: _plane.Params) -> Driver | None:
    """The driver of the management plane that is meant, which has to be there; none, if the options lead to a cluster directly."""
    if _plane.is_given(params):
        return None
    chosen = _plane.choose(params)
    if chosen.driver.find() is None:
        raise _plane.PlaneAbsent(
            f"There is no management plane {chosen.driver.name!r} of the provider {chosen.driver.provider!r} (chosen because "
            f"{chosen.reason}). Bring one up with the playbook kplane.core.up first."
        )
    return chosen.driver


def back_up(module: AnsibleModule) -> Json:
    """Write the file that the option C(dest) names."""
    params, path = module.params, _io.expand(module.params["dest"])
    driver = _driver(params)
    if isinstance(driver, EmbeddedDriver):
        if module.check_mode:
            _backup_file.require_replaceable(path)
            if driver.missing():
                raise ProviderMissing(driver.missing())
            return {"changed": True, "manifest": {}}
        return driver.backup(path)
    with _site(module) as site:
        if module.check_mode:
            _backup_file.require_replaceable(path)
            return {"changed": True, "manifest": _stack_backup.check(site)}
        about = {
            "provider": driver.provider if driver else "kubeconfig",
            "plane": driver.name if driver else site.client.connection.context,
        }
        manifest = _stack_backup.back_up(site, path, {**about, "server": site.client.server})
    return {"changed": True, "file": path, "sha256": _backup_file.sha256(path), "size": os.path.getsize(path), "manifest": manifest}


def restore(module: AnsibleModule) -> Json:
    """Restore from the file that the option C(src) names."""
    params, path, force = module.params, _io.expand(module.params["src"]), module.params["force"]
    driver = _driver(params)
    with _backup_file.Archive(path) as archive:
        found: Json = {"file": path, "manifest": archive.manifest}
        if isinstance(driver, EmbeddedDriver):
            archive.require(_backup_file.SERVER, driver.provider)
            return {**found, "changed": _restore_server(driver, path, force, module.check_mode)}
        archive.require(_backup_file.STACK, driver.provider if driver else "kubeconfig")
        archive.verify(_stack_backup.FILES)
        with _site(module) as site:
            needed = _stack_restore.needed(site, archive, force)
            if needed and not module.check_mode and not _stack_restore.restore(site, archive):
                module.warn(_BEHIND)
    return {**found, "changed": needed}


def _restore_server(driver: EmbeddedDriver, path: str, force: bool, check: bool) -> bool:
    try:
        return bool(driver.restore(path, force, check)["changed"])
    except ProviderError as exc:
        if exc.details.get("reason") == _NOT_EMPTY:
            exc.message = exc.message.partition("Ask for it")[0] + _backup_file.FORCE_HINT
        raise


@contextlib.contextmanager
def _site(module: AnsibleModule) -> t.Iterator[_stack_backup.Site]:
    """The stack that the options lead to."""
    if _portforward.IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib(_portforward.LIBRARY), exception=_portforward.IMPORT_ERROR)
    params = module.params
    namespace = params["namespace"] or _config.ConfigFile(params["config_path"]).profile().namespace
    with _plane.reach_cluster(params) as client:
        yield _stack_backup.find(client, namespace, float(params["wait_timeout"]))
