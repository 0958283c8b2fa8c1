#!/usr/bin/env bash
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The same playbooks on a host that is reached by ssh: an sshd of the test's own on the loopback address.
set -eu

sshd=$(PATH=$PATH:/usr/sbin command -v sshd) || {
  echo "skipped: there is no sshd on this machine, so no remote host can be played"
  exit 0
}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export ANSIBLE_NOCOLOR=1 ANSIBLE_LOCALHOST_WARNING=false
cluster=it-$RANDOM$RANDOM

# Nothing of the user may be touched on the "far" side, which is this very account.
common=(-i "$work/inventory.ini" -e kplane_hosts=far -e "kplane_cluster_name=$cluster" -e kplane_provider=embedded
  -e "kplane_data_dir=$work/data" -e "kplane_config_path=$work/config.yaml" -e "kplane_kubeconfig=$work/kubeconfig")
finish() {
  ansible-playbook kplane.core.down "${common[@]}" -e kplane_confirm=true >/dev/null 2>&1 || true
  [ ! -e "$work/sshd.pid" ] || kill "$(cat "$work/sshd.pid")"
  rm -rf "$work"
}
trap finish EXIT

ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$work/user_key"
cat >"$work/sshd_config" <<END
Port $port
ListenAddress 127.0.0.1
HostKey $work/host_key
AuthorizedKeysFile $work/user_key.pub
PidFile $work/sshd.pid
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
Subsystem sftp internal-sftp
END
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
"$sshd" -f "$work/sshd_config" -E "$work/sshd.log"
cat >"$work/inventory.ini" <<END
far ansible_host=127.0.0.1 ansible_port=$port ansible_user=$(id -un) ansible_connection=ssh ansible_python_interpreter=$(command -v python3)
[all:vars]
ansible_ssh_private_key_file=$work/user_key
ansible_ssh_common_args='-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes'
END

play() {
  echo "# $1 (${*:3})"
  ansible-playbook "$1" "${common[@]}" "${@:3}" 2>&1 </dev/null | tee "$work/output"
  case $2 in
    +) grep -q 'changed=[1-9]' "$work/output" ;;
    *) grep -q "changed=$2 " "$work/output" ;;
  esac
}

# The source of the server travels to the host, and is recognized by its content when it comes again.
play "$here/install.yml" 1 -e "source=$here/../kplane_server/files/project" -e "path=$work/installation"
grep -q "from $here/../kplane_server/files/project" "$work/output"
play "$here/install.yml" 0 -e "source=$here/../kplane_server/files/project" -e "path=$work/installation"
play "$here/install.yml" 1 -e state=absent -e "path=$work/installation"

play kplane.core.up +
play kplane.core.up 0
play kplane.core.create_cluster + -e kplane_vcp_name=demo
play kplane.core.create_cluster 0 -e kplane_vcp_name=demo
play kplane.core.get_clusters 0
grep -q 'demo  *starter  *yes' "$work/output"
# The backup comes to this side, and goes back.
play kplane.core.backup + -e "kplane_backup_file=$work/here/plane.zip"
[ "$(ls -A "$work/here")" = plane.zip ]
play kplane.core.delete_cluster + -e kplane_vcp_name=demo
play kplane.core.restore + -e "kplane_backup_file=$work/here/plane.zip" -e kplane_confirm=true
play kplane.core.get_clusters 0
grep -q 'demo  *starter  *yes' "$work/output"
play kplane.core.down + -e kplane_confirm=true
play kplane.core.down 0 -e kplane_confirm=true
[ ! -e "$work/data" ] && [ ! -e "$work/config.yaml" ] && [ ! -e "$work/kubeconfig" ]
