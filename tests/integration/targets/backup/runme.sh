#!/usr/bin/env bash
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Backup and restore of an embedded management plane, as a user types them: on the same machine, and after it was lost.
set -eu

work=$(mktemp -d)
export XDG_CONFIG_HOME=$work/config XDG_DATA_HOME=$work/data KUBECONFIG=$work/kubeconfig
export ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false ANSIBLE_NOCOLOR=1
cluster=it-$RANDOM$RANDOM
finish() {
  ansible-playbook kplane.core.down -e "kplane_cluster_name=$cluster" -e kplane_provider=embedded -e kplane_confirm=true >/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

# play NAME CHANGED ARGUMENTS...: the playbook has to succeed with that many changed tasks (any number: +)
play() {
  echo "# $1 (${*:3})"
  ansible-playbook "kplane.core.$1" -e "kplane_cluster_name=$cluster" -e kplane_provider=embedded "${@:3}" 2>&1 </dev/null | tee "$work/output"
  case $2 in
    +) grep -q 'changed=[1-9]' "$work/output" ;;
    *) grep -q "changed=$2 " "$work/output" ;;
  esac
}
# refuses NAME TEXT ARGUMENTS...: the playbook has to fail and say so
refuses() {
  echo "# $1 must fail (${*:3})"
  if ansible-playbook "kplane.core.$1" -e "kplane_cluster_name=$cluster" -e kplane_provider=embedded "${@:3}" >"$work/output" 2>&1 </dev/null; then
    cat "$work/output"
    return 1
  fi
  grep -q -- "$2" "$work/output" || { cat "$work/output"; return 1; }
}
# uid NAME: what a client with the kubeconfig entry of a virtual control plane sees
uid() {
  python3 - "$1" <<'PYTHON'
import base64, json, os, ssl, sys, urllib.request
import yaml

document = yaml.safe_load(open(os.environ["KUBECONFIG"]))
entry = lambda kind, what: next(one[what] for one in document[kind] if one["name"] == "kplane-" + sys.argv[1])
cluster, user = entry("clusters", "cluster"), entry("users", "user")
trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
request = urllib.request.Request(cluster["server"] + "/api/v1/namespaces/default", headers={"Authorization": "Bearer " + user["token"]})
print(json.load(urllib.request.urlopen(request, context=trust, timeout=10))["metadata"]["uid"])
PYTHON
}

file=$work/backups/plane.zip
refuses backup 'kplane_backup_file=plane.zip'
refuses restore 'kplane_backup_file=plane.zip'
refuses backup 'There is no management plane' -e "kplane_backup_file=$file"
play up +
play create_cluster + -e '{"kplane_vcp_names": ["a", "b"]}'
a=$(uid a) b=$(uid b)

play backup + -e "kplane_backup_file=$file" --check
[ ! -e "$file" ]
play backup + -e "kplane_backup_file=$file"
grep -q '2 virtual control planes' "$work/output"
[ "$(stat -c %a "$file" 2>/dev/null || stat -f %Lp "$file")" = 600 ]
echo mine >"$work/letter"
refuses backup 'is left as it is' -e "kplane_backup_file=$work/letter"
[ "$(cat "$work/letter")" = mine ]

refuses restore '2 virtual control planes, which the restore would replace.*kplane_confirm=true' -e "kplane_backup_file=$file"
head -c 5000 "$file" >"$work/short.zip"
refuses restore 'damaged or was cut off' -e "kplane_backup_file=$work/short.zip" -e kplane_confirm=true
[ "$(uid a)" = "$a" ]

# back in time on the same machine
cp "$KUBECONFIG" "$work/before"
play delete_cluster + -e kplane_vcp_name=a -e kplane_vcp_deletion_policy=Destroy
play create_cluster + -e kplane_vcp_name=later
play restore + -e "kplane_backup_file=$file" -e kplane_confirm=true --check
KUBECONFIG=$work/kubeconfig uid later
play restore + -e "kplane_backup_file=$file" -e kplane_confirm=true
play restore 0 -e "kplane_backup_file=$file"
[ "$(KUBECONFIG=$work/before uid a)" = "$a" ]
[ "$(KUBECONFIG=$work/before uid b)" = "$b" ]
if uid later 2>/dev/null; then exit 1; fi

# a machine that is lost: a new plane has another authority, other keys and another port, until it is restored
play down + -e kplane_confirm=true
play up + -e "kplane_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
if KUBECONFIG=$work/before uid a 2>/dev/null; then exit 1; fi
play restore + -e "kplane_backup_file=$file"
[ "$(KUBECONFIG=$work/before uid a)" = "$a" ]
[ "$(KUBECONFIG=$work/before uid b)" = "$b" ]
play create_cluster 0 -e '{"kplane_vcp_names": ["a", "b"], "kplane_get_credentials": false}'
