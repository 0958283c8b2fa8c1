# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``kplane-server run|start|stop|status|version``: flags and environment to settings.

Every flag ``--some-flag`` has an environment variable ``KPLANE_SERVER_SOME_FLAG``. The commands that only look import nothing heavy.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kplane_server import __version__
from kplane_server.model.addresses import check_allowed, check_denied
from kplane_server.model.names import ROOT, VCP_NAME_RULE, is_vcp_name
from kplane_server.process import supervise
from kplane_server.process.failures import ProcessError
from kplane_server.settings import (
    DEFAULT_CLUSTER_NAME,
    DEFAULT_PORT,
    KUBERNETES_VERSION,
    MIB,
    AuditSettings,
    LimitSettings,
    ListenSettings,
    LogSettings,
    OutboundSettings,
    Settings,
    StorageSettings,
)

PREFIX: Final = "KPLANE_SERVER_"
LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point; its result is the exit code."""
    options = parser(os.environ).parse_args(arguments)
    try:
        result: int = options.command(options)
        return result
    except ProcessError as error:
        if getattr(options, "output", "text") == "json":
            print(json.dumps(error.document()), flush=True)
        print(f"kplane-server: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """All commands and flags; ``environment`` gives defaults."""
    top = argparse.ArgumentParser(prog="kplane-server", description="The embedded kplane management plane.")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    run = commands.add_parser("run", help="serve in the foreground until SIGTERM")
    _server_flags(run, environment)
    run.add_argument("--parent-pid", type=int, default=_env(environment, "PARENT_PID"), help="stop when this process is gone")
    run.set_defaults(command=_run)
    start = commands.add_parser("start", help="make sure that a server runs in the background and is ready")
    _server_flags(start, environment)
    _output_flag(start)
    start.add_argument("--wait-timeout", type=float, default=60.0, metavar="SECONDS", help="how long to wait for readiness (default 60)")
    start.add_argument("--supervisor", choices=("auto", "systemd", "daemon"), default="auto", help="who keeps it running (default auto)")
    start.set_defaults(command=_start)
    stop = commands.add_parser("stop", help="stop the server of a data directory and wait until it is gone")
    _data_dir_flag(stop, environment)
    _output_flag(stop)
    stop.add_argument("--timeout", type=float, default=supervise.STOP_TIMEOUT, metavar="SECONDS", help="then it is killed")
    stop.set_defaults(command=_stop)
    status = commands.add_parser("status", help="whether a data directory is served, and where")
    _data_dir_flag(status, environment)
    _output_flag(status)
    status.set_defaults(command=_status)
    _backup_commands(commands, environment)
    version = commands.add_parser("version", help="the versions of the server and of the API that it serves")
    _output_flag(version)
    version.set_defaults(command=_version)
    return top


def _backup_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser], environment: Mapping[str, str]) -> None:
    backup = commands.add_parser("backup", help="write everything of a data directory to one file; the server goes on")
    _data_dir_flag(backup, environment)
    _output_flag(backup)
    backup.add_argument("--file", type=Path, required=True, help="the file to write, or to replace if it is a backup")
    backup.set_defaults(command=_backup)
    restore = commands.add_parser("restore", help="bring a data directory, whose server is stopped, back to a backup")
    _data_dir_flag(restore, environment)
    _output_flag(restore)
    restore.add_argument("--file", type=Path, required=True, help="the backup")
    restore.add_argument("--force", action="store_true", help="also where it replaces virtual control planes")
    restore.add_argument("--check", action="store_true", help="only look whether it can be done")
    restore.set_defaults(command=_restore)


def _env(environment: Mapping[str, str], name: str) -> str | None:
    return environment.get(PREFIX + name) or None


def _data_dir_flag(command: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    data_home = environment.get("XDG_DATA_HOME") or "~/.local/share"
    command.add_argument(
        "--data-dir",
        type=Path,
        default=_env(environment, "DATA_DIR") or f"{data_home}/kplane/{DEFAULT_CLUSTER_NAME}",
        help="where everything that must survive a restart lives (default %(default)s)",
    )


def _output_flag(command: argparse.ArgumentParser) -> None:
    command.add_argument("--output", choices=("text", "json"), default="text", help="for people or for machines (default text)")


def _server_flags(command: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    _data_dir_flag(command, environment)
    add = command.add_argument
    add("--cluster-name", default=_env(environment, "CLUSTER_NAME") or DEFAULT_CLUSTER_NAME, help="name in contexts (default %(default)s)")
    add(
        "--root-control-plane-name",
        type=_root_name,
        default=_env(environment, "ROOT_CONTROL_PLANE_NAME") or ROOT,
        metavar="NAME",
        help="another name of the root control plane, beside root (default %(default)s)",
    )
    add("--host", default=_env(environment, "HOST") or "127.0.0.1", help="address to listen on (default %(default)s)")
    add("--port", type=_port, default=_env(environment, "PORT") or DEFAULT_PORT, help="TCP port to listen on (default %(default)s)")
    add(
        "--advertise-address",
        action="append",
        metavar="NAME",
        help="a host name or address that clients use; the first is in kubeconfig files, all are in the certificate; repeatable",
    )
    add(
        "--synchronous",
        choices=("FULL", "NORMAL"),
        default=_env(environment, "SYNCHRONOUS") or "FULL",
        help="FULL: acknowledged writes survive power loss; NORMAL: a crash of the process only (default %(default)s)",
    )
    levels = ("debug", "info", "warning", "error")
    add("--log-level", choices=levels, default=_env(environment, "LOG_LEVEL") or "info", help="(default %(default)s)")
    add("--log-file", type=Path, default=_env(environment, "LOG_FILE"), help="append the log to this file instead of standard error")
    add("--audit-log", type=Path, default=_env(environment, "AUDIT_LOG"), metavar="FILE", help="write an audit log; off by default")
    add(
        "--audit-policy",
        type=Path,
        default=_env(environment, "AUDIT_POLICY"),
        metavar="FILE",
        help="what is audited, as audit.k8s.io/v1 Policy (default: everything at level Metadata)",
    )
    add(
        "--audit-log-max-size",
        type=_positive,
        default=_env(environment, "AUDIT_LOG_MAX_SIZE") or 100,
        metavar="MIB",
        help="rotate the audit log at this size (default %(default)s)",
    )
    add(
        "--audit-log-max-backups",
        type=_positive,
        default=_env(environment, "AUDIT_LOG_MAX_BACKUPS") or 10,
        metavar="NUMBER",
        help="rotated audit logs to keep (default %(default)s)",
    )
    names = ", ".join(field.name for field in dataclasses.fields(LimitSettings))
    add("--limit", action="append", type=_limit, metavar="NAME=VALUE", help=f"change a bound; repeatable. Names: {names}")
    add(
        "--outbound-allow",
        action="append",
        type=_outbound_allow,
        metavar="NETWORK",
        help="let webhooks of control planes reach this address, network or group (loopback, link-local, own) all the same; repeatable",
    )
    add(
        "--outbound-deny",
        action="append",
        type=_outbound_deny,
        metavar="NETWORK",
        help="keep webhooks of control planes from this address, network, domain or group (private); repeatable",
    )
    command.set_defaults(
        environment_advertise_address=_env_list(environment, "ADVERTISE_ADDRESS"),
        environment_limit=_env_list(environment, "LIMIT"),
        environment_outbound_allow=_env_list(environment, "OUTBOUND_ALLOW"),
        environment_outbound_deny=_env_list(environment, "OUTBOUND_DENY"),
    )


def _env_list(environment: Mapping[str, str], name: str) -> list[str]:
    """A repeatable flag's variable: values with commas between them."""
    return [text.strip() for text in (_env(environment, name) or "").split(",") if text.strip()]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not greater than zero")
    return number


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"{text} is no TCP port")
    return port


def _root_name(text: str) -> str:
    if text == ROOT or is_vcp_name(text):
        return text
    raise argparse.ArgumentTypeError(f"{text[:64]!r} cannot be a name of the root control plane: {VCP_NAME_RULE}")


def _limit(text: str) -> tuple[str, float | int]:
    name, _, value = text.partition("=")
    kinds = {name: type(default) for name, default in dataclasses.asdict(LimitSettings()).items()}
    if name not in kinds:
        raise argparse.ArgumentTypeError(f"there is no limit {name!r}; there are {', '.join(kinds)}")
    try:
        number: float | int = kinds[name](value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: a limit is greater than zero and finite")
    return name, number


def _outbound_allow(text: str) -> str:
    return _checked_outbound(text, check_allowed)


def _outbound_deny(text: str) -> str:
    return _checked_outbound(text, check_denied)


def _checked_outbound(text: str, check: Callable[[str], None]) -> str:
    try:
        check(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _audit(options: argparse.Namespace) -> AuditSettings:
    if options.audit_policy is not None and options.audit_log is None:
        raise SystemExit("kplane-server: --audit-policy needs --audit-log")
    log, policy = (path.expanduser().absolute() if path is not None else None for path in (options.audit_log, options.audit_policy))
    return AuditSettings(log, policy, options.audit_log_max_size * MIB, options.audit_log_max_backups)


def _outbound(options: argparse.Namespace) -> OutboundSettings:
    _check_environment("OUTBOUND_ALLOW", options.environment_outbound_allow, check_allowed)
    _check_environment("OUTBOUND_DENY", options.environment_outbound_deny, check_denied)
    return OutboundSettings(
        allow=tuple(options.outbound_allow or options.environment_outbound_allow),
        deny=tuple(options.outbound_deny or options.environment_outbound_deny),
    )


def _check_environment(name: str, texts: Sequence[str], check: Callable[[str], None]) -> None:
    try:
        for text in texts:
            check(text)
    except ValueError as error:
        raise SystemExit(f"kplane-server: {PREFIX}{name}: {error}") from error


def _advertised(options: argparse.Namespace) -> tuple[str, ...]:
    return tuple(options.advertise_address or options.environment_advertise_address)


def _limits(options: argparse.Namespace) -> dict[str, Any]:
    try:
        inherited = [_limit(text) for text in options.environment_limit]
    except argparse.ArgumentTypeError as error:
        raise SystemExit(f"kplane-server: {PREFIX}LIMIT: {error}") from error
    return dict([*inherited, *(options.limit or [])])


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that the flags of ``run`` and ``start`` mean."""
    return Settings(
        data_dir=options.data_dir.expanduser().absolute(),
        cluster_name=options.cluster_name,
        root_name=options.root_control_plane_name,
        listen=ListenSettings(options.host, options.port, _advertised(options)),
        limits=LimitSettings(**_limits(options)),
        storage=StorageSettings(options.synchronous),
        log=LogSettings(options.log_level, options.log_file),
        audit=_audit(options),
        outbound=_outbound(options),
        parent_pid=getattr(options, "parent_pid", None),
    )


def _run(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    where: dict[str, Any] = {"stream": sys.stderr} if settings.log.file is None else {"filename": settings.log.file}
    logging.basicConfig(level=settings.log.level.upper(), format=LOG_FORMAT, **where)
    from kplane_server import app  # the whole server: not for the commands that only look

    app.run(settings)
    return 0


def _start(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    listen = settings.listen
    arguments = [f"--data-dir={settings.data_dir}", f"--cluster-name={settings.cluster_name}"]
    arguments += [f"--root-control-plane-name={settings.root_name}"]
    arguments += [f"--host={listen.host}", f"--port={listen.port}"]
    arguments += [f"--advertise-address={name}" for name in listen.advertise_addresses]
    arguments += [f"--synchronous={settings.storage.synchronous}", f"--log-level={settings.log.level}"]
    arguments += [f"--log-file={settings.log.file.absolute()}"] if settings.log.file is not None else []
    if settings.audit.log is not None:
        arguments += [f"--audit-log={settings.audit.log}", f"--audit-log-max-size={settings.audit.max_bytes // MIB}"]
        arguments += [f"--audit-log-max-backups={settings.audit.backups}"]
        arguments += [f"--audit-policy={settings.audit.policy}"] if settings.audit.policy is not None else []
    arguments += [f"--outbound-allow={text}" for text in settings.outbound.allow]
    arguments += [f"--outbound-deny={text}" for text in settings.outbound.deny]
    arguments += [f"--limit={name}={value}" for name, value in _limits(options).items()]
    status, changed = supervise.start(supervise.StartOptions(settings.data_dir, tuple(arguments), options.wait_timeout, options.supervisor))
    _show(options, {"changed": changed, **status.document()}, status.text())
    return 0


def _stop(options: argparse.Namespace) -> int:
    changed = supervise.stop(options.data_dir, options.timeout)
    _show(options, {"changed": changed, "running": False}, "stopped" if changed else "it was not running")
    return 0


def _status(options: argparse.Namespace) -> int:
    status = supervise.status(options.data_dir)
    _show(options, status.document(), status.text())
    return 0


def _backup(options: argparse.Namespace) -> int:
    from kplane_server.process.backup import back_up  # knows the store: not for the commands that only look

    done = back_up(options.data_dir, options.file)
    about = done["manifest"]
    _show(options, done, f"{done['file']}: {about['vcps']} virtual control planes of {about['plane']}, {done['size']} bytes")
    return 0


def _restore(options: argparse.Namespace) -> int:
    from kplane_server.process.restore import restore  # knows the store

    done = restore(options.data_dir, options.file, force=options.force, check=options.check)
    about = done["manifest"]
    what = "would be restored from" if options.check else "is restored from"
    text = f"{done['dataDir']} {what} the backup of {about['plane']} of {about['created']}: {about['vcps']} virtual control planes"
    _show(options, done, text if done["changed"] else f"{done['dataDir']} is restored from that backup already; --force does it again")
    return 0


def _version(options: argparse.Namespace) -> int:
    document = {"version": __version__, "kubernetesVersion": KUBERNETES_VERSION}
    _show(options, document, f"kplane-server {__version__}, Kubernetes API {KUBERNETES_VERSION}")
    return 0


def _show(options: argparse.Namespace, document: dict[str, Any], text: str) -> None:
    print(json.dumps(document) if options.output == "json" else text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
