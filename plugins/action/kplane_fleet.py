# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action kplane_fleet: it works on the controller, once for all hosts, on what their variables declare."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.kplane.core.plugins.module_utils import _contract, _io, _plane, _vcp
from ansible_collections.kplane.core.plugins.module_utils._diff import Differences
from ansible_collections.kplane.core.plugins.module_utils._errors import ConnectionFailed, KplaneError, KubeconfigError, Untrusted
from ansible_collections.kplane.core.plugins.plugin_utils import (
    _fleet_plan,
    _fleet_record,
    _fleet_run,
    _fleet_seed,
    _fleet_spec,
    _progress,
)
from ansible_collections.kplane.core.plugins.plugin_utils._fleet_hosts import Hosts
from ansible_collections.kplane.core.plugins.plugin_utils._fleet_spec import Wanted
from ansible_collections.kplane.core.plugins.plugin_utils._progress import Event

#: Ansible takes the terminal away from the processes that tasks run in, so this is asked when the plugin is loaded.
_TERMINAL = _progress.is_terminal(sys.stdout)

ARGUMENTS: t.Final[dict[str, t.Any]] = {
    "fleet": {"type": "str", "required": True},
    "group": {"type": "str", "default": _fleet_spec.GROUP},
    "prune": {"type": "bool", "default": False},
    "prune_limit": {"type": "float", "default": 10.0},
    "adopt": {"type": "bool", "default": False},
    "reseed": {"type": "bool", "default": False},
    "prune_seeds": {"type": "bool", "default": False},
    "force_conflicts": {"type": "bool", "default": False},
    "parallel": {"type": "int", "default": 12},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "float", "default": 120.0},
    "record": {"type": "path"},
    "events": {"type": "path"},
    "progress": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
}


class Share(t.NamedTuple):
    """What one management plane has to do."""

    #: None in check mode, if it is not there yet.
    plane: _fleet_run.Plane | None
    context: str
    snapshot: _fleet_run.Snapshot
    plan: _fleet_plan.Plan


def _unknown_addresses(name: str) -> tuple[str, str]:
    """What is known of the addresses of a VCP whose management plane is not there."""
    path = _contract.vcp_path(name)
    return path, path


def _context(options: t.Mapping[str, t.Any]) -> str:
    """What a management plane that is not there is called."""
    given = options.get("management_context") or options.get("management_kubeconfig")
    return str(given) if given and not isinstance(given, dict) else _plane.context_name(options)


def _may_come(options: t.Mapping[str, t.Any], exc: KplaneError) -> bool:
    """Whether what is wrong with a management plane is only that it is not there yet."""
    if isinstance(exc, KubeconfigError):
        path = options.get("management_kubeconfig")
        return isinstance(path, str) and not os.path.exists(_io.expand(path))
    return not isinstance(exc, Untrusted)


class ActionModule(ActionBase):
    """Converges a fleet."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments: dict[str, t.Any] = self.validate_argument_spec(argument_spec=ARGUMENTS)[1]  # type: ignore[no-untyped-call]
        variables = task_vars or {}
        try:
            result.update(self._converge(arguments, variables))
        except KplaneError as exc:
            raise AnsibleActionFail(exc.message, result=exc.details) from exc
        return result

    # From the inventory to what is wanted

    def _hosts(self, arguments: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> list[str]:
        hosts = (variables.get("groups") or {}).get(arguments["group"])
        if hosts is None:
            raise KplaneError(
                f"The inventory has no group {arguments['group']!r}. Its hosts are the VCPs of the fleet, so nothing was done."
            )
        return list(hosts)

    def _declarations(
        self, arguments: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]
    ) -> dict[str, tuple[dict[str, t.Any], list[Wanted]]]:
        """What is wanted, by management plane: its options and its VCPs."""
        hosts = Hosts(self._templar, variables["hostvars"], arguments["fleet"])
        planes: dict[str, tuple[dict[str, t.Any], list[Wanted]]] = {}
        problems = []
        for host in self._hosts(arguments, variables):
            try:
                options, wanted = hosts.read(host)
            except KplaneError as exc:
                problems.append(f"{host}: {exc.message}")
                continue
            planes.setdefault(_fleet_spec.plane_key(options), (options, []))[1].append(wanted)
        if problems:
            raise KplaneError(
                f"{len(problems)} hosts do not declare a VCP as they should, so nothing was done: " + _fleet_spec.summary_of(problems)
            )
        for _unused_options, vcps in planes.values():
            _fleet_spec.check_unique(vcps)
        return planes

    # From what is wanted to what was done

    def _reach(self, options: t.Mapping[str, t.Any]) -> _fleet_run.Plane:
        reached = _plane.reach(options)
        return _fleet_run.Plane(reached.client, reached.context, reached.endpoints, _fleet_run.is_embedded(reached.client))

    def _share(self, options: t.Mapping[str, t.Any], vcps: t.Sequence[Wanted], policy: _fleet_plan.Policy) -> Share:
        with_secrets = policy.prune or any(vcp.handout.secret or vcp.state == "absent" for vcp in vcps)
        try:
            plane = self._reach(options)
            snapshot = _fleet_run.look(plane, policy.fleet, with_secrets)
        except (_plane.PlaneAbsent, _plane.PlaneStopped, ConnectionFailed, KubeconfigError) as exc:
            # A play that would bring the management plane up first can be checked as a whole.
            if not self._task.check_mode or not _may_come(options, exc):
                raise
            self._display.warning(f"{exc.message} In check mode it is taken for one without any VCP, so all {len(vcps)} would be made.")
            nothing = _fleet_run.Snapshot(_vcp.EMPTY_WORLD, "", {})
            return Share(None, _context(options), nothing, _fleet_plan.plan(vcps, nothing.world, _unknown_addresses, policy))
        return Share(plane, plane.context, snapshot, _fleet_plan.plan(vcps, snapshot.world, plane.addresses, policy))

    def _converge(self, arguments: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        started = time.time()
        policy = _fleet_plan.Policy(
            _fleet_spec.check_fleet_name(arguments["fleet"]),
            arguments["prune"],
            arguments["prune_limit"],
            arguments["adopt"],
            arguments["reseed"],
            arguments["prune_seeds"],
            started,
        )
        settings = _fleet_run.Settings(
            arguments["parallel"], arguments["wait"], arguments["wait_timeout"], bool(self._task.check_mode), arguments["force_conflicts"]
        )
        declared = self._declarations(arguments, variables)
        if not declared:
            # Nobody's variables say where the fleet lives: those of the play do.
            declared = {"": (_fleet_spec.plane_options(self._plain(variables)), [])}
        # All management planes are planned for before anything is done on one of them.
        shares = [self._share(options, vcps, policy) for options, vcps in declared.values()]
        outcomes = self._execute(shares, policy, settings, arguments)
        run = _fleet_record.result(policy.fleet, outcomes, started, time.time())
        if arguments["record"] and not settings.check:
            _fleet_record.write(arguments["record"], run)
        result = _fleet_record.returned(run)
        if self._task.diff:
            result["diff"] = self._differences(outcomes)
        for plane in filter(None, (share.plane for share in shares)):
            for text in plane.client.warnings:
                self._display.warning(text)
            plane.client.close()
        return result

    def _plain(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {name: self._templar.template(variables[name]) for name in _fleet_spec.PLANE_VARIABLES if name in variables}

    def _differences(self, outcomes: t.Sequence[_fleet_run.Outcome]) -> dict[str, t.Any]:
        differences = Differences()
        several = len({outcome.plane for outcome in outcomes}) > 1
        for outcome in outcomes:
            if not outcome.changed:
                continue
            before, after = outcome.job.step.before, outcome.job.step.after
            if outcome.job.seed and outcome.job.wanted is not None:
                after = {**(after or {}), "seed": _fleet_seed.names_of(outcome.job.wanted.seed or ())}
            if outcome.removed:
                before = {**(before or {}), "seed_pruned": list(outcome.removed)}
            if outcome.places:
                after = {**(after or {}), "credentials": list(outcome.places)}
            differences.add(f"{outcome.plane}/{outcome.job.name}" if several else outcome.job.name, before, after)
        return differences.as_result()

    def _execute(
        self, shares: t.Sequence[Share], policy: _fleet_plan.Policy, settings: _fleet_run.Settings, arguments: t.Mapping[str, t.Any]
    ) -> list[_fleet_run.Outcome]:
        """Work on all management planes at the same time; this thread tells how far it is."""
        inbox: queue.SimpleQueue[Event | int] = queue.SimpleQueue()
        found: dict[int, list[_fleet_run.Outcome]] = {}
        defects: list[BaseException] = []

        def work(index: int, share: Share) -> None:
            try:
                if share.plane is None:
                    found[index] = _fleet_run.unseen(share.plan.jobs, share.context)
                else:
                    found[index] = _fleet_run.Run(share.plane, share.snapshot, policy, settings, inbox.put).run(share.plan.jobs)
            except BaseException as exc:  # raised again below, in the thread that reports
                defects.append(exc)
            finally:
                inbox.put(index)

        for share in shares:
            inbox.put(Event("planned", "", share.context, fleet=policy.fleet, total=len(share.plan.jobs)))
        threads = [threading.Thread(target=work, args=(index, share), daemon=True) for index, share in enumerate(shares)]
        for thread in threads:
            thread.start()
        self._report(inbox, len(threads), arguments)
        if defects:
            raise defects[0]
        return [outcome for index in sorted(found) for outcome in found[index]]

    def _report(self, inbox: queue.SimpleQueue[Event | int], running: int, arguments: t.Mapping[str, t.Any]) -> None:
        mode = arguments["progress"]
        shown = mode == "always" or (mode == "auto" and _TERMINAL and _progress.SHOWN_VARIABLE not in os.environ)
        progress = _progress.Progress(0)
        lines = 0
        with contextlib.ExitStack() as stack:
            paths = [*filter(None, [arguments["events"]]), *_progress.event_paths()]
            files = [stack.enter_context(_fleet_record.events_file(path)) for path in paths]
            while running:
                try:
                    event = inbox.get(timeout=0.2)
                except queue.Empty:
                    event = None
                if isinstance(event, int):
                    running -= 1
                elif event is not None:
                    progress.see(event)
                    line = event.line(time.time()) + "\n"
                    for file in files:
                        file.write(line)
                if shown and (progress.due() or (not running and lines)):
                    self._display.display((_progress.ERASE_LINE_ABOVE if lines and _TERMINAL else "") + progress.line(), screen_only=True)
                    lines += 1
