#!/usr/bin/env bash
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The playbooks of a single management plane, by their full names, as a user types them (backup and restore: target backup).
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
  ansible-playbook "kplane.core.$1" -e "kplane_cluster_name=$cluster" "${@:3}" 2>&1 </dev/null | tee "$work/output"
  case $2 in
    +) grep -q 'changed=[1-9]' "$work/output" ;;
    *) grep -q "changed=$2 " "$work/output" ;;
  esac
}
# refuses NAME TEXT ARGUMENTS...: the playbook has to fail and say so
refuses() {
  echo "# $1 must fail (${*:3})"
  if ansible-playbook "kplane.core.$1" -e "kplane_cluster_name=$cluster" "${@:3}" >"$work/output" 2>&1 </dev/null; then
    cat "$work/output"
    return 1
  fi
  grep -q -- "$2" "$work/output" || { cat "$work/output"; return 1; }
}
shows() { grep -q -- "$1" "$work/output"; }

play doctor 0
shows 'there is none yet'
shows 'up would need: nothing'
shows 'kubectl: '
refuses get_clusters 'There is no management plane'
play up + -e kplane_provider=embedded --check
[ ! -e "$KUBECONFIG" ]
play up + -e kplane_provider=embedded
play up 0
shows 'answers at https://127.0.0.1:'
play up 0 --check
refuses up 'kplane_rotate is for the providers kind, k3s and kubeconfig' -e '{"kplane_rotate": ["certificate-authorities"]}'

refuses create_cluster 'kplane_vcp_name=demo'
play create_cluster + -e kplane_vcp_name=demo --check
play create_cluster + -e kplane_vcp_name=demo
play create_cluster 0 -e kplane_vcp_name=demo
play create_cluster + -e '{"kplane_vcp_names": ["a", "b"], "kplane_vcp_labels": {"team": "blue"}, "kplane_get_credentials": false}'

play get_credentials 0 -e kplane_credentials_name=demo
play get_credentials + -e kplane_credentials_name=a -e kplane_set_current=true
refuses get_credentials 'kplane_credentials_name=demo'
refuses get_credentials "no virtual control plane 'missing'" -e kplane_credentials_name=missing

play use_context + -e kplane_context=demo
play use_context 0 -e kplane_context=kplane-demo
refuses use_context 'kplane_context=demo'

play get_clusters 0
shows '\*  *demo  *starter  *yes'
play get_clusters + -e "kplane_output_file=$work/clusters.json" -e kplane_label_selector=team=blue
python3 -c 'import json, sys; assert [c["name"] for c in json.load(open(sys.argv[1]))] == ["a", "b"]' "$work/clusters.json"

play images 0 -e kplane_provider=kind -e kplane_etcd_image=registry.example:5000/etcd:v3.5.13
shows 'registry.example:5000/etcd:v3.5.13'
shows 'kindest/node:'
play set_provider + -e kplane_provider=embedded
play set_provider 0 -e kplane_provider=embedded
play set_provider + -e kplane_provider=auto
refuses up 'is not an executable file' -e kplane_provider=k3d -e kplane_executable=/nowhere/k3d
refuses up 'is not an executable file' -e kplane_provider=kind -e kplane_executable=/nowhere/kind
play doctor 0
shows 'answers at https://127.0.0.1:'

play delete_cluster + -e kplane_vcp_name=demo --check
play delete_cluster + -e kplane_vcp_name=demo -e kplane_vcp_deletion_policy=Destroy
play delete_cluster 0 -e kplane_vcp_name=demo

refuses down 'kplane_confirm=true'
play get_clusters 0
play down + --check
play down + -e kplane_confirm=true
play down 0 -e kplane_confirm=true
left=$(find "$work" -mindepth 1 ! -name output ! -name clusters.json ! -path "$work/config" ! -path "$work/data")
[ -z "$left" ] || { echo "this was left: $left" && cat "$work/config/kplane/config.yaml" && exit 1; }
