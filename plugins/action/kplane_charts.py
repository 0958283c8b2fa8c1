# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action kplane_charts: it compares on the controller, and lets kubernetes.core.helm do what has to be done."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.kplane.core.plugins.module_utils import _plane
from ansible_collections.kplane.core.plugins.module_utils._client import Client
from ansible_collections.kplane.core.plugins.module_utils._contract import CONTROL_PLANES
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, NotFound
from ansible_collections.kplane.core.plugins.plugin_utils import _fleet_charts, _fleet_plan, _fleet_spec

_HELM = "kubernetes.core.helm"
_CHART: t.Final[dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "chart_ref": {"type": "str"},
    "chart_repo_url": {"type": "str"},
    "chart_version": {"type": "str"},
    "release_namespace": {"type": "str", "default": _fleet_charts.DEFAULT_NAMESPACE},
    "create_namespace": {"type": "bool", "default": True},
    "release_state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "values": {"type": "dict"},
    "wait": {"type": "bool"},
    "timeout": {"type": "str"},
}
ARGUMENTS: t.Final[dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "charts": {"type": "list", "elements": "dict", "options": _CHART, "required": True},
    "prune": {"type": "bool", "default": False},
    "reinstall": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Installs, upgrades and uninstalls."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments: dict[str, t.Any] = self.validate_argument_spec(argument_spec=ARGUMENTS)[1]  # type: ignore[no-untyped-call]
        variables = task_vars or {}
        named = {name: self._templar.template(variables[name]) for name in _fleet_spec.PLANE_VARIABLES if name in variables}
        try:
            with _plane.reach(_fleet_spec.plane_options(named)).client as client:
                result.update(self._converge(client, arguments, variables))
        except (KplaneError, OSError) as exc:
            raise AnsibleActionFail(exc.message if isinstance(exc, KplaneError) else str(exc)) from exc
        return result

    def _converge(self, client: Client, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        name = arguments["name"]
        # Plain text, without the marks of Ansible, and without what was not said.
        charts = [
            {key: value for key, value in chart.items() if value is not None} for chart in json.loads(json.dumps(arguments["charts"]))
        ]
        base = str(variables.get("inventory_dir") or os.getcwd())
        try:
            live = client.get(CONTROL_PLANES, name)
        except NotFound as exc:
            raise KplaneError(f"There is no virtual control plane {name!r} on {client.server}") from exc
        record = _fleet_charts.read(_fleet_plan.annotation(live, _fleet_spec.CHARTS_ANNOTATION))
        plan = _fleet_charts.plan(charts, base, record, arguments["prune"], arguments["reinstall"])
        if plan.nothing:
            return {"changed": False, "releases": [], "uninstalled": []}
        if not self._task.check_mode:
            self._keep(client, name, record, plan.during)
        releases = [self._install(chart, base, variables) for chart in charts] if plan.install else []
        uninstalled = [self._uninstall(release, variables) for release in plan.uninstall]
        failed = [entry for entry in (*releases, *uninstalled) if entry["failed"]]
        if not failed and not self._task.check_mode:
            self._keep(client, name, plan.during, plan.after)
        result: dict[str, t.Any] = {
            "changed": any(entry["changed"] for entry in (*releases, *uninstalled)),
            "releases": releases,
            "uninstalled": [entry["release"] for entry in uninstalled if not entry["failed"]],
        }
        if self._task.diff:
            present = [entry["release"] for entry in releases if entry["changed"]]
            result["diff"] = {
                "before": {"releases": list(record.releases)},
                "after": {"changed": present, "kept": list(plan.after.releases)},
            }
        if failed:
            told = "; ".join(f"{entry['release']}: {entry['msg']}" for entry in failed)
            result.update(failed=True, msg=f"{len(failed)} of {len(releases) + len(uninstalled)} releases in {name!r} failed: {told}")
        return result

    def _keep(self, client: Client, name: str, before: _fleet_charts.Record, after: _fleet_charts.Record) -> None:
        if after.text() != before.text():
            client.patch(CONTROL_PLANES, name, {"metadata": {"annotations": {_fleet_spec.CHARTS_ANNOTATION: after.text()}}})

    def _install(self, chart: _fleet_charts.Chart, base: str, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        path = _fleet_charts.local(str(chart.get("chart_ref") or ""), base)
        return self._helm(_fleet_charts.release(chart), {**chart, **({"chart_ref": path} if path else {})}, variables)

    def _uninstall(self, release: str, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        namespace, _slash, name = release.partition("/")
        return self._helm(release, {"name": name, "release_namespace": namespace, "release_state": "absent"}, variables)

    def _helm(self, release: str, arguments: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        done: dict[str, t.Any] = self._execute_module(module_name=_HELM, module_args=arguments, task_vars=variables)
        failed = bool(done.get("failed"))
        said = str(done.get("msg") or done.get("stderr") or "kubernetes.core.helm said nothing") if failed else ""
        return {"release": release, "changed": bool(done.get("changed")), "failed": failed, "msg": said}
