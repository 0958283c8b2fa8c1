# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the report in a real headless Chromium: it fits a phone and a desktop, is light and dark, and breaks no rule of its own."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.plays import Controller
from support.server import GROUP, Server

LONG = "silver-with-a-rather-long-name-for-the-eastern-region"
#: What the page is asked once it is laid out. The page itself allows no script, so this goes into a copy, and that into a frame of the
#: width of a phone or a desktop: the windows of a headless browser do not get as small as a phone.
QUESTION = """<script>
onload = () => {
  const page = document.documentElement, body = getComputedStyle(document.body);
  const cells = [...document.querySelectorAll("td, th, .tile b")];
  top.document.title = JSON.stringify({
    wide: page.scrollWidth, window: innerWidth, ground: body.backgroundColor, ink: body.color,
    cards: document.querySelectorAll("section").length,
    cut: cells.filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent),
  });
};
</script>"""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Path]:
    """A report of VCPs that are ready, paused and broken, with names that are long."""
    server = Server(tmp_path / "plane")
    (tmp_path / "controller").mkdir()
    controller = Controller(tmp_path / "controller")
    hosts: dict[str, Any] = {"team-[1:6]": {}, "team-2": {"kplane_class": "missing"}, "team-3": {"kplane_state": "paused"}}
    hosts["x" * 40 + "-" + "y" * 20] = {"kplane_class": LONG}
    variables = {"kplane_management_kubeconfig": str(server.kubeconfig), "kplane_deletion_policy": "Destroy"}
    controller.write("fleet.yml", {"kplane_vcps": {"hosts": hosts, "vars": variables}})
    try:
        server.start()
        body = {"apiVersion": "controlplane.kplane.dev/v1alpha1", "kind": "ControlPlaneClass", "metadata": {"name": LONG}, "spec": {}}
        server.root.post(f"{GROUP}/controlplaneclasses", body).ok()
        controller.play("kplane.core.fleet", "-i", "fleet.yml", check=False, kplane_fleet_name="blue")
        made = tmp_path / "page.html"
        controller.play("kplane.core.report", kplane_report_file=str(made), kplane_fleet_name="blue", **variables)
        yield made
    finally:
        server.stop()


def look(page: Path, dark: bool) -> tuple[dict[str, Any], str]:
    """What the browser says of the page, and what it complains about."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("NO CHROMIUM: the page of the report is not looked at")
    options = [f"--user-data-dir={page.parent / 'profile'}", "--window-size=1400,1200", "--virtual-time-budget=500"]
    options += [f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--enable-logging=stderr", "--v=0"]
    command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *options, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    complaints = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return (json.loads(found[1]) if found else {}), complaints


def test_it_fits_and_has_two_faces(page: Path) -> None:
    without_policy, count = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    assert count == 1
    content = html.escape(without_policy.replace("</body>", QUESTION + "</body>"), quote=True)
    faces = set()
    for width in (390, 1280):
        framed = page.with_name(f"{width}.html")
        framed.write_text(
            f'<!DOCTYPE html><title></title><iframe style="border:0;width:{width}px;height:3000px" srcdoc="{content}"></iframe>'
        )
        for dark in (False, True):
            seen, _complaints = look(framed, dark)
            assert (seen["window"], seen["wide"]) == (width, width), "nobody has to scroll sideways"
            assert seen["cut"] == []
            assert seen["cards"] >= 6
            faces.add((seen["ground"], seen["ink"]))
    assert len(faces) == 2


def test_it_breaks_no_rule_of_its_own(page: Path) -> None:
    _seen, complaints = look(page, False)
    assert complaints == ""
    for needed in ("1 should serve and do not", LONG, "missing", "paused"):
        assert needed in page.read_text()
