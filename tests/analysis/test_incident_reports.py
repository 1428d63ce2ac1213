"""Incidents and work as text, documents and files."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
from small_incidents import calm, many, scenario, week, with_work

import sim
from analysis.report import run_document, run_text, save_run
from analysis.report_incidents import hours_by_person, incidents_text, work_text
from scenarios.units import format_duration, format_money
from sim.record import Result
from sim.work import Work


@pytest.fixture(scope="module")
def played() -> Result:
    return with_work(week())


def table(text: str, corner: str) -> list[list[str]]:
    """Cells of the table whose corner says so, its header first."""
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(corner + " "))
    stop = next((n for n in range(start, len(lines)) if not lines[n]), len(lines))
    return [[cell for cell in line.split("  ") if cell.strip()] for line in lines[start:stop]]


def test_each_incident_is_a_row_of_its_moments(played):
    header, *rows = table(incidents_text(played), "number")
    assert [name.strip() for name in header] == [
        "number", "failure", "severity", "onset", "detected", "by", "paged", "acknowledged", "mitigated", "resolved",
        "loss",
    ]  # fmt: skip
    assert len(rows) == len(played.raw_incidents) == 6
    for row, incident in zip(rows, played.raw_incidents, strict=True):
        onset = incident.onset.time
        moments = (incident.paged, incident.acknowledged, incident.mitigated, incident.resolved)
        assert [cell.strip() for cell in row[1:]] == [
            incident.failure.name,
            incident.severity,
            f"{onset:.2f} d",
            format_duration(incident.detected - onset),
            incident.by,
            *(format_duration(m - onset) for m in moments),
            format_money(incident.loss),
        ]


def test_steps_that_nobody_took_have_no_column():
    text = incidents_text(sim.run(scenario(monitors=[], response=None)))
    header, *rows = table(text, "number")
    assert [name.strip() for name in header] == [
        "number", "failure", "onset", "detected", "by", "resolved", "loss"
    ]  # fmt: skip
    assert all("nobody" in "".join(row) for row in rows)
    assert [row[1].strip() for row in table(text, "people")[1:4]] == ["none"] * 3
    assert "missed targets" not in text


def test_means_say_from_where_to_where(played):
    figures = {row[0]: (row[1].strip(), row[2]) for row in table(incidents_text(played), "people")[1:]}
    incidents = played.raw_incidents
    expected = {
        "MTTD": np.mean([i.detected - i.onset.time for i in incidents]),
        "MTTA": np.mean([i.acknowledged - i.paged for i in incidents]),
        "MTTR": np.mean([i.resolved - i.onset.time for i in incidents]),
        "silent": sum(i.detected - i.onset.time for i in incidents),
        "work": sum(w.end - w.start for w in played.work),
    }
    for name, days in expected.items():
        assert figures[name][0] == f"{24 * days:.1f} h", name
    assert "from onset to detection" in figures["MTTD"][1]
    assert "from page to acknowledgement" in figures["MTTA"][1]
    assert "from onset to resolution" in figures["MTTR"][1]


def test_without_a_rotation_no_time_to_acknowledge_is_told():
    result = sim.run(scenario())
    assert result.incidents["acknowledged_days"].notna().any()
    figures = {row[0]: row[1].strip() for row in table(incidents_text(result), "people")[1:]}
    assert figures["MTTA"] == "none"


def test_hours_by_person_and_role(played):
    found = hours_by_person(played)
    assert found["hours"].sum() == pytest.approx(sum(work.hours for work in played.work))
    assert found["tasks"].sum() == len(played.work)
    for person, role, hours, tasks in found.itertuples(index=False):
        own = [work for work in played.work if work.person == person]
        assert (role, tasks) == (own[0].role, len(own))
        assert hours == pytest.approx(sum(work.hours for work in own))
    rows = table(incidents_text(played), "person")
    assert len(rows) == 1 + len(found)


def test_work_without_incidents_is_told():
    result = dataclasses.replace(calm(), work=[Work("ml 1", "ml", "approval", 1.0, 1.5)])
    assert "ml 1" in work_text(result)
    assert "12.0 h" in run_text(result)
    assert "person" not in run_text(calm())


def test_more_than_are_told_are_counted():
    result = dataclasses.replace(many(), raw_incidents=[*many().raw_incidents, *many().raw_incidents])
    text = incidents_text(result)
    assert "Each of the last 20 of 28 incidents" in text
    assert [row[0].strip() for row in table(text, "number")[1:]] == [str(n) for n in range(9, 29)]


def test_the_document_has_them_too(played):
    document = json.loads(json.dumps(run_document(played), allow_nan=False))
    assert len(document["incidents"]) == len(played.raw_incidents)
    assert document["incidents"][0].keys() == set(played.incidents.columns)
    assert document["work"] == [
        {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in row.items()}
        for row in played.work_log.to_dict("records")
    ]
    assert document["work"][-1]["onset_days"] is not None
    assert any(row["onset_days"] is None for row in document["work"])
    assert run_document(calm())["work"] == []


def test_files_of_a_run_with_incidents(played, tmp_path):
    files = save_run(played, tmp_path)
    assert [file.name for file in files] == [
        "run.json", "timeline.parquet", "events.parquet", "run.png", "incidents.csv", "incidents.png", "work.csv"
    ]  # fmt: skip
    assert set(files) == set(tmp_path.iterdir())
    read = pd.read_csv(tmp_path / "incidents.csv", keep_default_na=False, na_values={"paged_days": [""]})
    assert read["onset_days"].tolist() == played.incidents["onset_days"].tolist()
    assert read["severity"].tolist() == played.incidents["severity"].tolist()
    work = pd.read_csv(tmp_path / "work.csv")
    assert work["task"].tolist() == [w.task for w in played.work]
    assert work["end_days"].tolist() == [w.end for w in played.work]
    assert (tmp_path / "incidents.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_incidents_has_the_files_it_had(tmp_path):
    names = {file.name for file in save_run(calm(), tmp_path)}
    assert names == {"run.json", "timeline.parquet", "events.parquet", "run.png"}
