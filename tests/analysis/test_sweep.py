"""Sweeps: the same bytes however they are executed or interrupted, and tables that agree with the runs."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_sweeps import POLICIES, digest, small_design, small_plan, small_scenario

import sim
from analysis import durable_files
from analysis.designs import design
from analysis.executors import Here, Processes
from analysis.statistics import mean_interval
from analysis.sweep import Sweep, plan_sweep, read_sweep, run_plan
from analysis.tasks import Division, Receipt, Task, perform
from sim.policies import Decision, Policy

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from small_sweeps import small_plan
from analysis.executors import executor_of
from analysis.sweep import run_plan
if __name__ == "__main__":
    run_plan(small_plan({replications}), Path(sys.argv[1]), executor_of("local", int(sys.argv[2])), resume=True)
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return run_plan(small_plan(), tmp_path_factory.mktemp("undisturbed") / "run", Here())


def test_a_division_covers_everything_once() -> None:
    for variants, replications, per_part in [(7, 3, (2, 3)), (3, 10, (1, 4)), (1, 1, (1, 1)), (5, 2, (9, 2))]:
        division = Division(variants, replications, *per_part)
        pairs = [
            (variant, replication)
            for number in range(division.count)
            for variant in division.part(number)[0]
            for replication in division.part(number)[1]
        ]
        assert sorted(pairs) == [(v, r) for v in range(variants) for r in range(replications)]
        assert len(pairs) == len(set(pairs))


def test_rows_are_the_runs_of_the_engine(undisturbed: Sweep) -> None:
    runs = undisturbed.query("SELECT * FROM runs ORDER BY variant, replication, policy")
    assert len(runs) == 12 * 4 * 3
    assert undisturbed.store.part_count > 3
    scenario = small_scenario()
    design = small_design(scenario)
    for row in runs.iloc[[0, 50, 143]].to_dict("records"):
        variant = design.variant(row["variant"])
        result = sim.run(
            scenario.with_(**variant.overrides), row["policy"], 0, replication=row["replication"]
        )
        assert row["annual_cost"] == result.summary["annual_cost"]
        assert row["cost[staleness]"] == result.costs["staleness"]
        assert row["quality.decay"] == variant.numbers["quality.decay"]


def test_two_processes_write_the_same_bytes(undisturbed: Sweep, tmp_path: Path) -> None:
    receipts: list[Receipt] = []
    run_plan(small_plan(), tmp_path / "two", Processes(2), progress=receipts.append)
    assert digest(tmp_path / "two") == digest(undisturbed.folder)
    assert sum(receipt.runs for receipt in receipts) == small_plan().runs


def test_only_what_is_missing_or_damaged_is_played_again(undisturbed: Sweep, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(undisturbed.folder, folder)
    store = read_sweep(folder).store
    store.part_path(1).unlink()
    store.part_path(2).write_bytes(b"damaged")
    (folder / "parts" / ".tmp-1-part-000003.parquet").write_bytes(b"left")
    receipts: list[Receipt] = []
    run_plan(small_plan(), folder, Here(), resume=True, progress=receipts.append)
    assert [receipt.part for receipt in receipts] == [1, 2]
    assert digest(folder) == digest(undisturbed.folder)


def test_a_folder_made_again_has_the_new_sweep(tmp_path: Path) -> None:
    scenario, folder = small_scenario(), tmp_path / "run"

    def costs(decay: str, home: Path) -> list[float]:
        base = scenario.with_(**{"quality.decay": decay})
        plan = plan_sweep(base, design(base, {"pipeline.cost.compute": ["$100", "$4000"]}), ["never"])
        found = run_plan(plan, home, Here()).query("SELECT annual_cost FROM runs ORDER BY ALL")
        return [float(cost) for cost in found["annual_cost"]]

    slow = costs("1%/y", folder)
    left_over = Task(str(folder), 0, read_sweep(folder).store.manifest_checksum())
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match=r"sweep of part 0 is no longer there.*got none"):
        perform(left_over)
    fast = costs("50%/y", folder)
    assert fast == costs("50%/y", tmp_path / "elsewhere")
    assert min(fast) > max(slow)
    before = digest(folder)
    with pytest.raises(ValueError, match="sweep of part 0 is no longer there"):
        perform(left_over)
    assert digest(folder) == before


def test_a_full_disk_is_said_and_resumed(
    undisturbed: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    real, calls = os.fsync, iter(range(1000))

    def full_later(handle: int) -> None:
        if next(calls) > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    with monkeypatch.context() as patched:
        patched.setattr(durable_files.os, "fsync", full_later)
        with pytest.raises(
            OSError, match=r"No space left on device; [1-9]\d* of \d+ parts are stored, --resume"
        ):
            run_plan(small_plan(), folder, Here())
    assert not list(folder.rglob(".tmp-*"))
    run_plan(small_plan(), folder, Here(), resume=True)
    assert digest(folder) == digest(undisturbed.folder)


@pytest.mark.slow
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    run_plan(small_plan(20), tmp_path / "undisturbed", Here())
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        with pytest.raises(OSError, match=r"No space left on device; [1-9]\d* of \d+ parts are stored"):
            run_plan(small_plan(20), disk / "run", Processes(2))
        subprocess.run(["mount", "-o", "remount,size=10M", str(disk)], check=True)
        run_plan(small_plan(20), disk / "run", Processes(2), resume=True)
        assert digest(disk / "run") == digest(tmp_path / "undisturbed")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    def interrupt(receipt: Receipt) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"1 of .* parts are stored, --resume"):
        run_plan(small_plan(), tmp_path / "run", Processes(2), progress=interrupt)


def killed_and_resumed(folder: Path, kills: int, workers: int, replications: int, seed: int) -> int:
    """Kill the main process at random instants after it has begun to write, then let it finish; parts before."""
    program = PROGRAM.format(tests=str(Path(__file__).parent), replications=replications)
    command = [sys.executable, "-c", program, str(folder), str(workers)]
    rng = np.random.default_rng(seed)
    survived = 0
    for _ in range(kills):
        before = len(list((folder / "parts").glob("part-*"))) if folder.exists() else 0
        process = subprocess.Popen(command, start_new_session=True)
        limit = time.monotonic() + 60.0
        while process.poll() is None and time.monotonic() < limit:
            if folder.exists() and len(list((folder / "parts").glob("part-*"))) > before:
                break
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0.0, 0.3)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        survived = len(read_sweep(folder).store.finished)
    subprocess.run(command, check=True, timeout=120)
    return survived


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_and_resumed_is_the_same_store(undisturbed: Sweep, tmp_path: Path) -> None:
    survived = killed_and_resumed(tmp_path / "run", kills=2, workers=1, replications=4, seed=1)
    assert survived > 0
    assert digest(tmp_path / "run") == digest(undisturbed.folder)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_ten_times_with_two_workers(tmp_path: Path) -> None:
    run_plan(small_plan(60), tmp_path / "undisturbed", Processes(2))
    survived = killed_and_resumed(tmp_path / "run", kills=10, workers=2, replications=60, seed=2)
    assert survived > 0
    assert digest(tmp_path / "run") == digest(tmp_path / "undisturbed")


def test_tables_agree_with_the_runs(undisturbed: Sweep) -> None:
    runs = undisturbed.query("SELECT * FROM runs")
    table = undisturbed.table()
    assert len(table) == 12 * 3
    for row in table.iloc[[0, 17, 35]].to_dict("records"):
        chosen = runs[(runs["variant"] == row["variant"]) & (runs["policy"] == row["policy"])]
        expected = mean_interval(chosen["annual_cost"])
        np.testing.assert_allclose([row["annual_cost"], row["ci_low"], row["ci_high"]], expected, rtol=1e-9)
        assert row["mean_accuracy"] == pytest.approx(chosen["mean_accuracy"].mean())
    for row in undisturbed.winners().to_dict("records"):
        costs = runs[runs["variant"] == row["variant"]].pivot(
            index="replication", columns="policy", values="annual_cost"
        )
        assert row["best"] == min(POLICIES, key=costs.mean().__getitem__)
        gap = costs[row["runner_up"]] - costs[row["best"]]
        joint = mean_interval(gap, 1.0 - 0.05 / 2)
        np.testing.assert_allclose([row["lead"], row["lead_low"]], [joint.mean, joint.low], atol=1e-6)


def test_tables_do_not_depend_on_where_parts_end(undisturbed: Sweep, tmp_path: Path) -> None:
    plan = small_plan()
    split = run_plan(type(plan)(plan.experiment, Division(12, 4, 1, 3)), tmp_path / "run", Here())
    assert split.store.part_count == 24
    assert split.table().equals(undisturbed.table())
    assert split.winners().equals(undisturbed.winners())


def test_the_document_is_json(undisturbed: Sweep) -> None:
    document = json.loads(json.dumps(undisturbed.to_dict(), allow_nan=False))
    assert document["variants"] == 12
    assert len(document["rows"]) == 36
    assert document["rows"][0]["values"] == {"quality.decay": "0.5%/d", "pipeline.cost.compute": "$100"}
    assert len(document["best_by_variant"]) == 12
    assert "Of 12 variants" in str(undisturbed)


class EveryWeek(Policy):
    """A policy of the user's own."""

    name = "every-week"

    def decide(self, view: object) -> Decision:
        return Decision()


def test_policies_of_ones_own_and_oracles_take_part(tmp_path: Path) -> None:
    scenario = small_scenario()
    plan = plan_sweep(scenario, small_design(scenario, 1), [EveryWeek(), "never", "oracle"], replications=2)
    found = run_plan(plan, tmp_path / "run", Processes(2))
    costs = found.table().pivot(index="variant", columns="policy", values="annual_cost")
    assert (costs["every-week"] == costs["never"]).all()
    assert set(found.winners()["best"]) <= {"every-week", "never"}
    assert not found.winners()["certain"].any()


@pytest.mark.parametrize(
    ("policies", "replications", "message"),
    [
        (["shceduled:7d"], None, "did you mean 'scheduled'"),
        (["never", "never"], None, "twice"),
        ([], None, "none given"),
        (["never"], 0, "expected at least 1"),
        (["triggered:psi>0.2"], None, "variant 0 .*needs features"),
    ],
)
def test_refused(policies: list[str], replications: int | None, message: str) -> None:
    scenario = small_scenario()
    with pytest.raises(ValueError, match=message):
        plan_sweep(scenario, small_design(scenario), policies, replications=replications)
