"""Write docs/gallery.md and its pictures: every scenario of the library with its question and one picture.

`python docs/make_gallery.py` makes all pictures anew, with names (`fraud_detection silent_failure`) those of these
scenarios, with `--page` none; the page is always written. Which picture a scenario gets follows from what it is made
of, and each comes from the command that stands beside it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "scripts"))

from small_pictures import shrink

import scenarios
from scenarios.schema import Scenario

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "gallery.md"
PICTURES = ROOT / "docs" / "pictures" / "gallery"
MANY_DEVICES = 100_000
"""Devices above which a picture shows the overlay `small` of a scenario."""
HEAD = """# Gallery

Every scenario of the library, with its question and one picture. Written by `make gallery`; the command under a title
makes the picture, in the folder that `--out` names. `halflife show NAME` tells the story and the parameters.
"""


def main() -> None:
    """Make the pictures that were asked for, and the page."""
    parser = argparse.ArgumentParser(description="Write the gallery of the library.")
    parser.add_argument("name", nargs="*", help="scenarios; all when none is named")
    parser.add_argument("--page", action="store_true", help="write the page only")
    asked = parser.parse_args()
    names = [] if asked.page else asked.name or scenarios.library_names()
    for name in names:
        begin = time.monotonic()
        size = draw(name, PICTURES / f"{name}.png")
        print(f"{name}: {size / 1000:.0f} kB, {time.monotonic() - begin:.0f} s", flush=True)
    PAGE.write_text(page())


def page() -> str:
    """The page, as Markdown."""
    return "\n\n".join([HEAD, *(_entry(name) for name in scenarios.library_names())]) + "\n"


def _entry(name: str) -> str:
    scenario = scenarios.load(name)
    command = " ".join(
        shlex.quote(word) for word in ("halflife", *words(name, scenario), "--out", f"out/{name}")
    )
    picture = f"![{scenario.title}: {picture_of(scenario)}](pictures/gallery/{name}.png)"
    text = (
        f"## {scenario.title}",
        f"*{scenario.question}*",
        f"`{command}`: `{picture_of(scenario)}`",
        picture,
    )
    return "\n\n".join(text)


def words(name: str, scenario: Scenario) -> list[str]:
    """The command, without its folder, that shows what a scenario is about."""
    if scenario.serving is not None:
        return ["capacity", name, "--quick", "--reps", "1"]
    if scenario.edge is not None:
        small = ["--overlay", "small"] if scenario.edge.count > MANY_DEVICES else []
        return ["run", name, *small, "--policy", _shortest_schedule(scenario)]
    if scenario.care is not None:
        return ["run", name]
    if scenario.menu:
        return ["budget", name, "--reps", "10"]
    if scenario.failures and scenario.response is not None:
        return ["run", name]
    return ["compare", name, "--reps", "10"]


def _shortest_schedule(scenario: Scenario) -> str:
    """The schedule of a scenario that releases most often: without a release its fleet has nothing to show."""
    schedules = [policy for policy in scenario.policies if policy.kind == "scheduled" and policy.interval]
    return min(schedules, key=lambda policy: policy.interval or 0.0).name


def picture_of(scenario: Scenario) -> str:
    """The file of that command which is shown."""
    if scenario.serving is not None:
        return "cost_latency.png"
    if scenario.edge is not None:
        return "version_mix.png"
    if scenario.care is not None:
        return "care.png"
    if scenario.menu:
        return "frontier.png"
    return "incidents.png" if scenario.failures and scenario.response is not None else "costs.png"


def draw(name: str, target: Path) -> int:
    """Run the command of a scenario and keep its picture. Returns the size in bytes."""
    scenario = scenarios.load(name)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "analysis.cli", *words(name, scenario), "--out", folder]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        return shrink(Path(folder) / picture_of(scenario), target)


if __name__ == "__main__":
    main()
