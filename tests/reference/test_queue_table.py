"""The published table of error by load: a small version of it, and the page that has the large one.

The small one holds by 99.9 % intervals (Student over replications), so that a right program with other random numbers
would break each of them once in a thousand times; there are 21.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest

from analysis import queue_errors, queueing
from analysis.queue_errors import CURVE, Compared, batch_errors, loss_errors, wait_errors
from analysis.statistics import mean_interval

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "validation.md").read_text(encoding="utf-8")
RUNS = 6


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals of 99.9 % instead of 95 %."""
    monkeypatch.setattr(queue_errors, "mean_interval", lambda values: mean_interval(values, 0.999))


def test_what_hardly_ever_happens_is_not_judged():
    # Of 64 servers at half load one request in two million waits.
    (row,) = wait_errors("exponential", 64, (0.5,), replications=2, scale=0.1)
    assert row.expected < 1.0
    assert row.too_rare
    (often,) = wait_errors("exponential", 8, (0.5,), replications=2, scale=0.1)
    assert not often.too_rare


def assert_right(rows: list[Compared], tolerance: float) -> None:
    """Every closed form is within its interval, which is narrow enough to mean something."""
    for row in rows:
        assert row.agrees, row
        assert row.uncertainty < tolerance, row


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize(("law", "servers"), [("exponential", 1), ("exponential", 8), ("constant", 1)])
def test_waits_are_those_of_theory(law, servers):
    rows = wait_errors(law, servers, (0.5, 0.8, 0.9), replications=RUNS, scale=0.2)
    assert_right(rows, 0.2)
    for row in rows:
        if law == "exponential":
            assert row.tail is not None
            assert row.tail.low < 0.01 < row.tail.high


@pytest.mark.usefixtures("wide")
def test_losses_are_those_of_erlang():
    assert_right(loss_errors(8, (0.5, 0.9), replications=RUNS, scale=0.5), 0.1)


@pytest.mark.usefixtures("wide")
def test_batches_are_those_of_their_chain():
    assert_right(batch_errors((0.5, 0.9), replications=RUNS, scale=0.1), 0.05)


def test_services_have_the_moments_that_are_said():
    (row,) = wait_errors("lognormal", 1, (0.5,), replications=2, scale=0.01)
    assert row.theory == pytest.approx(0.5 * (1.0 + 4.0) / (2.0 * 0.5))
    case = queue_errors.queue("lognormal", 1, 0.5)
    law = case.scenario(100.0).serving.pools[0].service.time  # type: ignore[union-attr]
    sigma = math.log(law.p95 / law.median) / queue_errors._Z95
    assert math.exp(sigma**2) - 1.0 == pytest.approx(4.0, rel=1e-9)
    assert law.median * math.exp(sigma**2 / 2.0) * 86400.0 == pytest.approx(1.0, rel=1e-9)


def test_a_queue_without_a_closed_form_is_refused():
    with pytest.raises(ValueError, match="lognormal services have no closed form with 8 servers"):
        wait_errors("lognormal", 8)


def test_replications_and_cases_have_requests_of_their_own():
    case, other = queue_errors.queue("constant", 1, 0.5), queue_errors.queue("exponential", 1, 0.5)
    first, again, second = (queue_errors.play(case, 5000, number).waited for number in (0, 0, 1))
    assert first == again != second
    counts = {queue_errors.play(one, 5000, 0).served for one in (case, other)}
    assert len(counts) == 2


# ---------------------------------------------------------------- the page


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_validation", DOCS / "make_validation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def published(heading: str) -> list[list[str]]:
    """Cells of all tables under a heading of the page."""
    part = PAGE.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in part.split("\n")
        if line.startswith("|")
    ]
    return [row for row in rows if row[0] not in ("queue", "figure", "servers", "---")]


def test_the_page_has_every_load_and_the_closed_forms_of_today(script):
    waits = published("### Mean waits")
    assert len(waits) == 25
    for name, load, theory, *_ in waits:
        kind, servers = name.split("/")[1:]
        at = {"arrival_rate": float(load) * int(servers), "service_time": 1.0}
        exact = {
            "M": lambda at=at, servers=servers: queueing.mmc_mean_wait(**at, servers=int(servers)),
            "D": lambda at=at: queueing.md1_mean_wait(**at),
            "G": lambda at=at: queueing.mg1_mean_wait(**at, service_scv=queue_errors.SCV),
        }[kind]()
        assert theory == script.number(float(exact))
    assert {row[1] for row in waits} == {"0.5", "0.8", "0.9", "0.95", "0.99"}
    for name, load, theory, *_ in published("### Losses"):
        servers = int(name.split("/")[2])
        assert theory == script.number(float(queueing.erlang_b(load=float(load) * servers, servers=servers)))
    for figure, load, theory, *_ in published("### Batches"):
        rate = float(load) * float(queueing.batch_limit(curve=CURVE))
        exact = queueing.batch_service(arrival_rate=rate, curve=CURVE)
        assert theory == script.number(exact.mean_latency if figure == "mean latency" else exact.mean_batch)


def test_most_intervals_of_the_page_hold_the_closed_form():
    cells = [row for heading in ("### Mean waits", "### Losses", "### Batches") for row in published(heading)]
    verdicts = [row[5] for row in cells]
    # Of 48 intervals of 95 % more than seven miss once in a few hundred pages.
    assert len(verdicts) == 50
    assert verdicts.count("too rare") == 2
    assert verdicts.count("**no**") <= 7


def test_the_record_is_met_to_the_digits_of_the_reference():
    rows = published("## 8. Recorded requests")
    assert [row[0] for row in rows] == ["12", "16", "20", "22", "24", "28", "32", "40"]
    assert max(float(row[-1]) for row in rows) < 1e-5
    (at_22,) = (row for row in rows if row[0] == "22")
    assert float(at_22[4]) == pytest.approx(14.339970, abs=1e-5)


def test_a_section_is_renewed_and_the_others_are_kept(script, monkeypatch):
    monkeypatch.setattr(script, "sections", lambda: (lambda: "", part_b, part_d))
    old = "# A\n\na\n\n## B\n\nold\n\n### B1\n\nold\n\n## C\n\nc\n"
    assert script.renewed(old, ["part_b"]) == "# A\n\na\n\n## B\n\nnew\n\n### B2\n\nnew\n\n## C\n\nc\n"
    assert script.renewed(old, ["part_d"]) == f"{old}\n## D\n\nd\n"


def part_b() -> str:
    return "## B\n\nnew\n\n### B2\n\nnew"


def part_d() -> str:
    return "## D\n\nd"
