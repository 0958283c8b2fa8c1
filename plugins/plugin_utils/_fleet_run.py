# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Doing what a plan says on one management plane: many VCPs at once, none of which can stop the others.

Workers do the requests; one coordinator holds all state, and learns what became of the VCPs from one watch.
PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import queue
import threading
import time
import typing as t
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.kplane.core.plugins.module_utils import _contract, _vcp
from ansible_collections.kplane.core.plugins.module_utils._client import Client, Json
from ansible_collections.kplane.core.plugins.module_utils._contract import CONTROL_PLANE_ENDPOINTS, CONTROL_PLANES
from ansible_collections.kplane.core.plugins.module_utils._errors import (
    AlreadyExists,
    ConnectionFailed,
    Expired,
    KplaneError,
    Unavailable,
    Untrusted,
    WaitTimeout,
)
from ansible_collections.kplane.core.plugins.module_utils._wait import condition, describe
from ansible_collections.kplane.core.plugins.plugin_utils import _fleet_applyset, _fleet_handout, _fleet_plan, _fleet_seed
from ansible_collections.kplane.core.plugins.plugin_utils._fleet_plan import Job, Policy
from ansible_collections.kplane.core.plugins.plugin_utils._fleet_spec import (
    PAUSED,
    SEED_ANNOTATION,
    UNPRUNED,
    Handout,
    SecretTarget,
    Wanted,
)
from ansible_collections.kplane.core.plugins.plugin_utils._progress import Event
from ansible_collections.kplane.core.plugins.plugin_utils._vcp_clients import VcpClients, offer_of

_WATCH_SECONDS = 20.0
_RETRY_SECONDS = 0.5
#: Answers of a server, or of what stands before it, while it starts.
_PASSING_CODES = frozenset({429, 502, 503, 504})
#: What the server of an embedded management plane has in its version.
_EMBEDDED_MARK = "+kplane."

Result = t.TypeVar("Result")


class Settings(t.NamedTuple):
    """How a run works."""

    parallel: int = 12
    wait: bool = True
    wait_timeout: float = 120.0
    check: bool = False
    force_conflicts: bool = False


class Plane(t.NamedTuple):
    """One management plane."""

    client: Client
    context: str
    addresses: _vcp.Addresses
    embedded: bool


class Snapshot(t.NamedTuple):
    """What a management plane holds, and the resource version to watch from."""

    world: _vcp.World
    version: str
    secrets: t.Mapping[SecretTarget, Json]


class Outcome(t.NamedTuple):
    """What became of one VCP."""

    job: Job
    plane: str
    error: KplaneError | None = None
    #: Whether anything was written (or would be, in check mode).
    changed: bool = False
    places: tuple[str, ...] = ()
    seconds: float = 0.0
    #: What was (or would be) deleted in it.
    removed: tuple[str, ...] = ()

    def result(self) -> dict[str, t.Any]:
        """What is returned for it."""
        job = self.job
        found: dict[str, t.Any] = {
            "name": job.name,
            "host": job.host,
            "plane": self.plane,
            "action": self.action,
            "changed": self.changed,
            "failed": self.error is not None,
            "msg": self.error.message if self.error else "",
        }
        if job.seed:
            found["seeded"] = self.error is None
        if self.removed:
            found["seed_pruned"] = list(self.removed)
        if self.places:
            found["credentials"] = list(self.places)
        if self.seconds:
            found["seconds"] = round(self.seconds, 3)
        return found

    @property
    def action(self) -> str:
        """What happened, in one word."""
        if self.job.action == "unchanged" and self.places:
            return "credentials"
        return self.job.action


def is_embedded(client: Client) -> bool:
    """Whether a server says that it is a kplane-server."""
    return _EMBEDDED_MARK in str(client.request("GET", "/version").json().get("gitVersion") or "")


def look(plane: Plane, fleet: str, with_secrets: bool) -> Snapshot:
    """Read the management plane: one paged list of each kind."""
    control_planes, version = plane.client.list_all(CONTROL_PLANES)
    endpoints, _version = plane.client.list_all(CONTROL_PLANE_ENDPOINTS)
    world = _vcp.World({obj["metadata"]["name"]: obj for obj in control_planes}, {obj["metadata"]["name"]: obj for obj in endpoints})
    return Snapshot(world, version, _fleet_handout.fleet_secrets(plane.client, fleet) if with_secrets else {})


def lean(job: Job, plane: Plane) -> Job:
    """The job without the endpoint that an embedded management plane makes by itself for a VCP that names none."""
    step = job.step
    made = step.create_endpoint
    if not plane.embedded or made is None or _contract.DEFAULT_ENDPOINT_ANNOTATION not in (made["metadata"].get("annotations") or {}):
        return job
    if step.create is not None:
        spec = {key: value for key, value in step.create["spec"].items() if key != "endpointRef"}
        return job._replace(step=step._replace(create_endpoint=None, create={**step.create, "spec": spec}))
    if ((job.live or {}).get("spec") or {}).get("endpointRef"):
        return job
    step = step._replace(create_endpoint=None)
    return job._replace(step=step if step.changes else step._replace(action="unchanged", before=None, after=None))


def unseen(jobs: t.Sequence[Job], plane: str) -> list[Outcome]:
    """What would become of VCPs of a management plane that is not there yet: of what is declared, all is made."""
    outcomes = []
    for job in jobs:
        places = _places(job.wanted.handout) if job.wanted is not None and job.step.changes else []
        outcomes.append(Outcome(job, plane, job.error, job.step.changes, tuple(places)))
    return outcomes


def _places(handout: Handout) -> list[str]:
    return [place for place, wanted in (("directory", handout.directory), ("secret", handout.secret)) if wanted]


def arrived(job: Job, obj: Json | None) -> bool | KplaneError | None:
    """Whether a VCP is as far as it shall be: ready, or paused if that was declared."""
    if job.wanted is not None and job.wanted.state == PAUSED and condition(obj, "Ready").get("reason") == "Paused":
        return True
    verdict = _vcp.readiness(job.name, obj)
    return bool(verdict) if isinstance(verdict, bool) else verdict


class Run:
    """One run on one management plane."""

    def __init__(self, plane: Plane, snapshot: Snapshot, policy: Policy, settings: Settings, post: t.Callable[[Event], None]) -> None:
        self.plane = plane
        self.snapshot = snapshot
        self.policy = policy
        self.settings = settings
        self.post = post
        self.discovery = _fleet_seed.Discovery()
        self.clients = VcpClients(plane.client.timeout)
        self.outcomes: dict[str, Outcome] = {}
        self._inbox: queue.SimpleQueue[tuple[str, Job | None, t.Any]] = queue.SimpleQueue()
        self._seen: dict[str, Json | None] = {}
        #: By name: when to give up. All deadlines are equally far away when they are set, so the first is the next.
        self._waiting: OrderedDict[str, tuple[Job, float]] = OrderedDict()
        self._started: dict[str, float] = {}
        self._places: dict[str, list[str]] = {}
        #: By name: what was (or would be) deleted in a VCP because its seed no longer holds it.
        self._removed: dict[str, tuple[str, ...]] = {}
        self._directories: set[str] = set()
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=max(1, settings.parallel))

    # The coordinator

    def run(self, jobs: t.Sequence[Job]) -> list[Outcome]:
        """Do all jobs; the outcomes have their order."""
        jobs = [lean(job, self.plane) for job in jobs]
        self._directories = {job.wanted.handout.directory for job in jobs if job.wanted and job.wanted.handout.directory}
        watcher: threading.Thread | None = None
        try:
            for job in jobs:
                self._begin(job)
            if len(self.outcomes) < len(jobs) and not self.settings.check:
                watcher = threading.Thread(target=self._watch, name="kplane-watch", daemon=True)
                watcher.start()
            while len(self.outcomes) < len(jobs):
                self._turn()
        finally:
            self._stop.set()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self.clients.close()
        return [self.outcomes[job.name] for job in jobs]

    def _turn(self) -> None:
        """Take one message, or give those up whose time is over."""
        left = 1.0
        if self._waiting:
            left = min(left, max(0.0, next(iter(self._waiting.values()))[1] - time.monotonic()))
        try:
            kind, job, value = self._inbox.get(timeout=left)
        except queue.Empty:
            self._give_up()
            return
        if kind == "seen":
            name, obj = value
            self._seen[name] = obj
            if name in self._waiting:
                self._check(self._waiting[name][0], obj)
        elif job is not None:
            if isinstance(value, KplaneError):
                self._end(job, value)
            elif isinstance(value, BaseException):
                # Not an error that the collection explains, so a defect: it ends the run with its traceback.
                raise value
            elif kind == "written":
                self._written(job, value)
            else:
                self._end(job)

    def _begin(self, job: Job) -> None:
        self._started[job.name] = time.monotonic()
        if job.error is not None:
            self._end(job, job.error)
        elif job.wanted is not None and job.wanted.embedded_only and not self.plane.embedded:
            what = ", ".join(job.wanted.embedded_only)
            self._end(
                job,
                KplaneError(
                    f"{job.name} declares {what}, which only an embedded management plane can do; {self.plane.client.server} is none"
                ),
            )
        elif self.settings.check:
            self._places[job.name] = self._missing(job, job.live)
            self._submit("done", job, self._rehearse) if job.step.changes or self._would_prune(job) else self._end(job)
        elif job.leaving:
            self._wait(job, job.live)
        elif job.step.changes:
            self._submit("written", job, self._write)
        elif job.live is None:
            self._end(job)
        elif arrived(job, job.live) is True or not self.settings.wait:
            self._ready(job, job.live)
        else:
            self._wait(job, job.live)

    def _written(self, job: Job, obj: Json | None) -> None:
        self.post(Event("written", job.name, self.plane.context, job.action))
        if job.step.delete_uid:
            self._wait(job, obj if obj is not None else job.live)
        elif obj is None:
            # Only the endpoint was written.
            self._ready(job, job.live or {})
        elif not self.settings.wait:
            self._end(job) if arrived(job, obj) is not True else self._ready(job, obj)
        else:
            self._wait(job, obj)

    def _wait(self, job: Job, obj: Json | None) -> None:
        """Wait for the next thing of this VCP, unless it has been seen already."""
        deadline = time.monotonic() + self.settings.wait_timeout
        self._waiting[job.name] = (job, deadline)
        # What the watch has seen of a VCP that goes away is later than what was read before; else the versions tell.
        if job.name in self._seen and (job.leaving or job.step.delete_uid or _newer(self._seen[job.name], obj)):
            obj = self._seen[job.name]
        self._check(job, obj)

    def _check(self, job: Job, obj: Json | None) -> None:
        if job.leaving or job.step.delete_uid:
            old = job.live if job.leaving else None
            uid = job.step.delete_uid or str((old or {}).get("metadata", {}).get("uid") or "")
            if obj is not None and obj["metadata"].get("uid") == uid:
                return
            del self._waiting[job.name]
            if job.leaving:
                self._submit("written", job._replace(leaving=False, live=None), self._write)
                return
            self.post(Event("gone", job.name, self.plane.context))
            self._submit("done", job, self._clear)
            return
        verdict = arrived(job, obj)
        if verdict is None or verdict is False:
            return
        del self._waiting[job.name]
        if isinstance(verdict, KplaneError):
            self._end(job, verdict)
        else:
            self.post(Event("ready", job.name, self.plane.context))
            self._ready(job, obj or {})

    def _ready(self, job: Job, obj: Json) -> None:
        self._places[job.name] = self._missing(job, obj)
        if job.seed or self._places[job.name]:
            self._submit("done", job, lambda job: self._finish(job, obj))
        else:
            self._end(job)

    def _give_up(self) -> None:
        now = time.monotonic()
        while self._waiting:
            name, (job, deadline) = next(iter(self._waiting.items()))
            if deadline > now:
                return
            del self._waiting[name]
            what = "gone" if job.leaving or job.step.delete_uid else "ready"
            seen = describe(self._seen.get(name, job.live))
            self._end(job, WaitTimeout(f"{name} was not {what} within {self.settings.wait_timeout:g} seconds. Last seen: {seen}"))

    def _end(self, job: Job, error: KplaneError | None = None) -> None:
        places = tuple(self._places.get(job.name, ()))
        wrote = not isinstance(error, KplaneError) or isinstance(error, WaitTimeout)
        changed = wrote and (job.step.changes or job.seed or bool(places)) and job.error is None
        seconds = time.monotonic() - self._started[job.name] if changed and not self.settings.check else 0.0
        removed = self._removed.get(job.name, ())
        self.outcomes[job.name] = Outcome(job, self.plane.context, error, changed, places, seconds, removed)
        if error is not None:
            self.post(Event("failed", job.name, self.plane.context, job.action, error.message))
        else:
            self.post(Event("done", job.name, self.plane.context, job.action))

    # The workers

    def _submit(self, kind: str, job: Job, work: t.Callable[[Job], t.Any]) -> None:
        def task() -> None:
            try:
                value: t.Any = work(job)
            except BaseException as exc:  # handed to the coordinator, which raises what it cannot explain
                value = exc
            self._inbox.put((kind, job, value))

        self._pool.submit(task)

    def _persist(self, call: t.Callable[[], Result]) -> Result:
        """``call``, again while the server cannot be reached or is not ready and there is time: it may be starting again."""
        deadline = time.monotonic() + self.settings.wait_timeout
        while True:
            try:
                return call()
            except (ConnectionFailed, Unavailable) as exc:
                passing = exc.code in _PASSING_CODES if isinstance(exc, Unavailable) else not isinstance(exc, Untrusted)
                if not passing or time.monotonic() >= deadline or self._stop.wait(_RETRY_SECONDS):
                    raise

    def _rehearse(self, job: Job) -> None:
        """Let the server say what it would say."""
        if not job.leaving:
            _vcp.apply(self.plane.client, job.step, dry_run=True)
        if self._would_prune(job):
            client = self.clients.client(offer_of(self.plane.client, job.live or {}), job.name)
            seed = _fleet_applyset.Seed(client, (job.wanted.seed if job.wanted else None) or (), self.discovery)
            self._removed[job.name] = tuple(map(str, seed.leftovers()))

    def _would_prune(self, job: Job) -> bool:
        """Whether the VCP has to be asked what would be deleted in it; one that does not serve cannot say it."""
        return (
            job.seed and self.policy.prune_seeds and not job.leaving and job.live is not None and _vcp.readiness(job.name, job.live) is True
        )

    def _write(self, job: Job) -> Json | None:
        try:
            return self._persist(lambda: _vcp.apply(self.plane.client, job.step))
        except AlreadyExists:
            # It was made since we looked, perhaps by an attempt of ours whose answer got lost.
            return self._persist(lambda: self._converge(job))

    def _converge(self, job: Job) -> Json:
        live = self.plane.client.get(CONTROL_PLANES, job.name)
        if job.wanted is None:
            return live
        again = _fleet_plan.plan(
            [job.wanted], _vcp.World({job.name: live}, self.snapshot.world.endpoints), self.plane.addresses, self.policy
        ).jobs[0]
        if again.error is not None:
            raise again.error
        return _vcp.apply(self.plane.client, lean(again, self.plane).step) or live

    def _clear(self, job: Job) -> None:
        """After a VCP has gone: its endpoint, and what was handed out for it."""
        if job.step.delete_endpoint:
            self._persist(lambda: _vcp.delete_endpoint(self.plane.client, job.step))
        for directory in self._directories:
            _fleet_handout.take_back(self.plane.client, directory, job.name, ())
        _fleet_handout.take_back(self.plane.client, "", job.name, self.snapshot.secrets.items())

    def _missing(self, job: Job, obj: Json | None) -> list[str]:
        if job.wanted is None or job.wanted.state == "absent" or job.step.delete_uid:
            return []
        if obj is None or job.leaving or (job.step.create is not None and self.settings.check):
            return _places(job.wanted.handout)
        server = str((obj.get("status") or {}).get("endpoint") or "").rstrip("/")
        uid = str((obj.get("metadata") or {}).get("uid") or "")
        return _fleet_handout.missing(job.wanted.handout, job.name, uid, server, self.snapshot.secrets)

    def _finish(self, job: Job, obj: Json) -> None:
        """Seed a VCP that is ready, and hand its credential out."""
        offer = self._persist(lambda: offer_of(self.plane.client, obj))
        wanted = job.wanted
        if wanted is None:
            return
        if job.seed:
            self._seed(job, wanted, self.clients.client(offer, job.name))
            self.post(Event("seeded", job.name, self.plane.context))
        places = self._places[job.name]
        if places:
            content = _fleet_handout.render(offer, job.name, self.plane.context, str(obj["metadata"]["uid"]))
            self._persist(lambda: _fleet_handout.write(self.plane.client, wanted.handout, places, content, job.name, self.policy.fleet))
            self.post(Event("handed-out", job.name, self.plane.context))

    def _seed(self, job: Job, wanted: Wanted, client: Client) -> None:
        seed = _fleet_applyset.Seed(client, wanted.seed or (), self.discovery)
        # Nothing can be in a VCP that this run made, unless it took data over.
        fresh = job.step.create is not None and wanted.declared.reattach is None
        prune = self.policy.prune_seeds
        removed = self._persist(lambda: seed.sow(self.settings.force_conflicts, prune, fresh))
        self._removed[job.name] = tuple(map(str, removed))
        before, unpruned = _fleet_plan.seed_of(job.live)
        changed = not fresh and before not in ("", wanted.seed_hash)
        mark = wanted.seed_hash + (UNPRUNED if not prune and (unpruned or changed) else "")
        # Last, so that a seed that was interrupted is applied again.
        annotations = {"metadata": {"annotations": {SEED_ANNOTATION: mark or None}}}
        self._persist(lambda: self.plane.client.patch(CONTROL_PLANES, job.name, annotations))

    # The watch

    def _watch(self) -> None:
        version, names = self.snapshot.version, {name: True for name in self._started}
        while not self._stop.is_set():
            try:
                for event in self.plane.client.watch(CONTROL_PLANES, version, _WATCH_SECONDS):
                    version = str(event.object["metadata"].get("resourceVersion") or version)
                    name = str(event.object["metadata"].get("name") or "")
                    if event.type != "BOOKMARK" and name in names:
                        self._inbox.put(("seen", None, (name, None if event.type == "DELETED" else event.object)))
                    if self._stop.is_set():
                        return
            except Expired:
                version = self._relist(names) or version
            except KplaneError:
                # A server that is being restarted is worth the time that is left; the deadlines of the VCPs bound it.
                if self._stop.wait(_RETRY_SECONDS):
                    return
                version = self._relist(names) or version

    def _relist(self, names: t.Mapping[str, bool]) -> str:
        try:
            found, version = self.plane.client.list_all(CONTROL_PLANES)
        except KplaneError:
            return ""
        there = {str(obj["metadata"]["name"]): obj for obj in found}
        for name in names:
            self._inbox.put(("seen", None, (name, there.get(name))))
        return version


def _newer(seen: Json | None, written: Json | None) -> bool:
    """Whether what the watch saw is later than what an answer said."""
    if seen is None or written is None:
        return seen is None and written is None
    try:
        return int(seen["metadata"]["resourceVersion"]) >= int(written["metadata"]["resourceVersion"])
    except (KeyError, ValueError):
        return False
