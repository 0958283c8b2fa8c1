#!/bin/sh
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs ansible-test on a real copy of the collection at .../ansible_collections/kplane/core, which is where it insists on being.
# usage: ansible_test.sh COPY ARGUMENTS...    COPY is the directory of the copy, for example .build/test/ansible_collections/kplane/core
set -eu

copy=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)

case $copy in */ansible_collections/kplane/core) ;; *) echo "not a place for a collection: $copy" >&2 && exit 2 ;; esac
mkdir -p "$copy"
copy=$(cd "$copy" && pwd)
find "$copy" -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} +
# The server and its tests are a Python project of their own, with checks of its own.
(cd "$root" && git ls-files --cached --others --exclude-standard -- . ':!server' ':!tests/server' ':!tests/benchmarks' ':!tests/clients' ':!tests/scale' ':!tests/e2e' ':!tests/upstream') |
  while IFS= read -r file; do if [ -f "$root/$file" ]; then printf '%s\n' "$file"; fi; done |
  tar -C "$root" -cf - -T - | tar -C "$copy" -xf -
cd "$copy"
[ -d .git ] || git init -q .

# ansible-test fetches pip from a host of its own, which not every network can reach.
cache=$HOME/.ansible/test/cache
for version in 24.2 25.0.1; do
  file=$cache/get_pip_$(echo "$version" | tr . _).py
  [ -e "$file" ] || { mkdir -p "$cache" && cp tests/support/get_pip.py "$file.$$" && mv "$file.$$" "$file"; } # two lanes may come by at once
done

# ansible-test takes the shims of pyenv for interpreters, and most of them lead nowhere: put the real ones in their place.
if command -v pyenv >/dev/null 2>&1; then
  shims=$(pyenv root)/shims
  PATH=$(printf '%s' "$PATH" | tr : '\n' | grep -Fxv "$shims" | paste -sd:)
  for bin in "$(pyenv root)"/versions/*/bin; do PATH=$PATH:$bin; done
  export PATH
fi
unset ANSIBLE_COLLECTIONS_PATH
exec ansible-test "$@"
