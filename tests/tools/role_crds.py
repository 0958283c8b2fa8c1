# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the definitions of the kplane kinds into the role, from those that kplane-server has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "server/src/kplane_server/vcp/data/crds.yaml"
TARGET = ROOT / "roles/management_plane/files/crds.manifest"
NOTE = "# The four kplane kinds, as kplane-server has them; made by tests/tools/role_crds.py, and held equal by a test.\n"


class Plain(yaml.SafeDumper):
    """Without anchors, which not every reader of YAML knows; lists indented as the linter of the collection wants."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def rendered() -> str:
    text = SOURCE.read_text()
    licence = "".join(text.splitlines(keepends=True)[:3])
    definitions = {"apiVersion": "v1", "kind": "List", "items": yaml.safe_load(text)}
    return "---\n" + licence + NOTE + yaml.dump(definitions, Dumper=Plain, sort_keys=False, width=130)


if __name__ == "__main__":
    TARGET.write_text(rendered())
