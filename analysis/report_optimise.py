"""What `halflife optimise` prints and writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.intervals import Interval
from analysis.report import aligned
from analysis.report_decisions import number, records, write_json
from sim.record import versions

if TYPE_CHECKING:
    from analysis.optimise import Optimum, Played
    from analysis.sustainable import Sustained


def optimum_document(found: Optimum) -> dict[str, Any]:
    """An optimum as one JSON document."""
    advantages = {}
    for name, other in (("runner_up", found.runner_up), ("baseline", found.baseline)):
        if other is not None and len(found.objectives) == 1:
            advantages[name] = {
                "setting": found.space.document(other.setting) if other.setting else found.baseline_name,
                **_bounds(found.advantage(other)),
            }
    selection = found.selection
    return {
        "scenario": found.space.scenario.title,
        "policy": found.space.template,
        "objectives": [str(objective) for objective in found.objectives],
        "best": _played(found, found.best) if len(found.objectives) == 1 else None,
        "advantage_over": advantages,
        "selection": None
        if selection is None
        else {
            "finalists": len(selection.systems),
            "replications": int(selection.replications.sum()),
            "selected": found.space.document(found.selected) if found.selected else None,
            "reported_by": "surface" if found.by_surface else "selection",
            "probability": None if found.by_surface else number(selection.probability),
            "guaranteed": selection.guaranteed and not found.by_surface,
            "indifference": number(selection.delta),
        },
        "pareto": [_played(found, played) for played in found.pareto],
        "requirements": [check.document() for check in found.checks],
        "trials": len(found.trials),
        "provenance": {
            "scenario_hash": found.space.scenario.hash(),
            "seed": found.seed,
            "versions": versions(),
        },
    }


def optimum_text(found: Optimum) -> str:
    """An optimum as text."""
    currency = found.space.scenario.currency
    rows = {}
    for played in found.pareto:
        rows[found.space.shown(played.setting)] = _shown(found, played)
    if found.runner_up is not None:
        rows[f"{found.space.shown(found.runner_up.setting)} (runner-up)"] = _shown(found, found.runner_up)
    if found.baseline is not None:
        rows[f"baseline: {found.baseline_name}"] = _shown(found, found.baseline)
    lines = [
        f"{found.space.scenario.title}: {found.space.template}, {len(found.trials)} settings tried",
        aligned(rows, "setting"),
    ]
    if len(found.objectives) > 1:
        lines.append(f"{len(found.pareto)} settings of which none is better in all objectives.")
        return "\n\n".join(lines)
    objective = found.objectives[0]
    for name, other in (("the runner-up", found.runner_up), ("the baseline", found.baseline)):
        if other is not None:
            shown = [objective.response.shown(value, currency) for value in found.advantage(other)]
            lines.append(f"Better than {name} by {shown[0]} (95 % interval {shown[1]} to {shown[2]}).")
    values = found.best.runs[objective.response.column]
    measured = int(np.count_nonzero(~np.isnan(values)))
    if measured < len(values):
        lines.append(f"{objective.response} was measured in {measured} of {len(values)} worlds only.")
    if found.selection is not None:
        lines.append(f"Selection among {len(found.selection.systems)} finalists: {_promise(found)}.")
    return "\n\n".join(lines)


def _promise(found: Optimum) -> str:
    selection = found.selection
    assert selection is not None
    shown, currency = found.objectives[0].response.shown, found.space.scenario.currency
    zone = shown(selection.delta, currency)
    if found.by_surface:
        assert found.selected is not None
        worlds = int(selection.replications.min())
        how = (
            f"{found.space.shown(found.selected)} was selected; reported is the minimum of the response surface, whose "
            f"mean over the {worlds} worlds of all finalists is at most {zone} worse"
        )
        if not selection.guaranteed:
            return f"{how}, without a promise"
        return (
            f"{how}. With probability {selection.probability:.0%} or more none is better than the selected one by more "
            f"than {zone}, so that by this estimate none is better than the reported one by more than "
            f"{shown(2.0 * selection.delta, currency)}"
        )
    if selection.guaranteed:
        return (
            f"with probability {selection.probability:.0%} or more none of them is better by more than {zone}"
        )
    return f"stopped after {int(selection.replications.sum())} replications without a decision to {zone}"


def _shown(found: Optimum, played: Played) -> dict[str, str]:
    currency, cells = found.space.scenario.currency, {}
    for objective in found.objectives:
        shown = [objective.response.shown(value, currency) for value in played.interval(objective)]
        cells[str(objective.response)] = shown[0]
        cells["95 % low" if len(found.objectives) == 1 else f"low({objective.response.column})"] = shown[1]
        cells["95 % high" if len(found.objectives) == 1 else f"high({objective.response.column})"] = shown[2]
    if len(found.objectives) > 1 and found.requirements:
        failed = [str(check.requirement) for check in found.checks_of(played) if not check.holds]
        cells["requirements"] = f"fails {', '.join(failed)}" if failed else "kept"
    return cells


def _played(found: Optimum, played: Played) -> dict[str, Any]:
    return {
        "setting": found.space.document(played.setting),
        "objectives": {str(o): _bounds(played.interval(o)) for o in found.objectives},
        "requirements_kept": all(check.holds for check in found.checks_of(played)),
        "requirements": [check.document() for check in found.checks_of(played)],
    }


def _bounds(interval: Interval) -> dict[str, Any]:
    return {
        "mean": number(float(interval.mean)),
        "ci_low": number(float(interval.low)),
        "ci_high": number(float(interval.high)),
    }


def save_optimum(found: Optimum, folder: str | Path) -> list[Path]:
    """Write optimum.json, trials.csv and optimum.png."""
    from analysis.plot_styles import save_figure

    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    files = [home / name for name in ("optimum.json", "trials.csv", "optimum.png")]
    write_json(optimum_document(found), files[0])
    found.trials.to_csv(files[1], index=False, float_format="%.9g")
    save_figure(found.plot().figure, files[2])
    return files


def sustained_document(found: Sustained) -> dict[str, Any]:
    """The largest sustainable value as one JSON document."""

    def written(value: float | None) -> Any:
        return None if value is None else found.given.written(value)

    return {
        "scenario": found.scenario.title,
        "policy": found.policy,
        "path": found.given.path,
        "requirement": str(found.requirement),
        "holds_at": written(found.holds_at),
        "holds_at_number": found.holds_at,
        "fails_at": written(found.fails_at),
        "fails_at_number": found.fails_at,
        "confidence": found.level,
        "sentence": found.sentence(),
        "points": records(found.points),
    }


def sustained_text(found: Sustained) -> str:
    """The largest sustainable value as text."""
    rows = {
        found.given.shown(row["value"]): {
            "replications": f"{row['replications']}",
            "measured": found.requirement.response.shown(row["measured"], found.scenario.currency),
            "low": found.requirement.response.shown(row["ci_low"], found.scenario.currency),
            "high": found.requirement.response.shown(row["ci_high"], found.scenario.currency),
            "answer": row["answer"],
        }
        for row in found.points.to_dict("records")
    }
    return f"{aligned(rows, found.given.path)}\n\n{found.sentence()}"


def save_sustained(found: Sustained, folder: str | Path) -> list[Path]:
    """Write sustainable.json, points.csv and sustainable.png."""
    from analysis.plot_styles import save_figure
    from analysis.report import whole_figure

    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    files = [home / name for name in ("sustainable.json", "points.csv", "sustainable.png")]
    write_json(sustained_document(found), files[0])
    found.points.to_csv(files[1], index=False, float_format="%.9g")
    save_figure(whole_figure(found.plot()), files[2])
    return files
