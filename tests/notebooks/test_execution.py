"""The runner of the labs: what it finds wrong, and that it finds nothing wrong with the labs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_output

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))

import axis_labels  # noqa: E402
import execute  # noqa: E402


def drawn(**labels: str) -> Figure:
    figure = Figure()
    ax = figure.subplots()
    ax.plot([0, 1, 2], [0.0, 0.5, 1.0])
    ax.set(title="a picture", **labels)
    figure.draw_without_rendering()
    return figure


def test_an_axis_of_numbers_needs_label_and_unit() -> None:
    assert axis_labels.problems(drawn(xlabel="time (days)", ylabel="accuracy (fraction)")) == []
    missing = axis_labels.problems(drawn(xlabel="time", ylabel=""))
    assert missing == ["x axis 'time' of 'a picture'", "y axis '' of 'a picture'"]


def test_words_and_shared_axes_need_no_label_of_their_own() -> None:
    figure = Figure()
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.barh(["scheduled:7d", "never"], [1.0, 2.0])
    lower.plot([0, 1], [0, 1])
    lower.set(xlabel="cost (USD)", ylabel="gain (USD)")
    figure.draw_without_rendering()
    assert axis_labels.problems(figure) == []


def test_ticks_may_carry_the_unit() -> None:
    figure = drawn(xlabel="coverage", ylabel="accuracy (fraction)")
    figure.axes[0].set_xticks([0, 1, 2], ["0%", "1%", "2%"])
    figure.draw_without_rendering()
    assert axis_labels.problems(figure) == []


def test_a_warning_is_a_problem() -> None:
    cell = nbformat.v4.new_code_cell("pass")
    cell.outputs = [
        new_output("stream", name="stdout", text="fine"),
        new_output("stream", name="stderr", text="RuntimeWarning: divide by zero\n"),
    ]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    assert execute.warnings_in(notebook) == ["RuntimeWarning: divide by zero"]


def test_labs_are_chosen_by_the_beginning_of_their_name() -> None:
    assert [path.stem for path in execute.labs(["02"])] == ["02_half_life_and_retraining_economics"]
    assert len(execute.labs([])) >= 5
    with pytest.raises(ValueError, match="no lab begins with '99': 01_"):
        execute.labs(["99"])


def test_the_table_says_what_failed() -> None:
    text = execute.table([execute.Outcome("01_a", 2.0, []), execute.Outcome("02_b", 3.0, ["ValueError: no"])])
    assert text.splitlines()[1:] == ["01_a      2.0  ok", "02_b      3.0  failed", "    ValueError: no"]


@pytest.mark.slow
@pytest.mark.parametrize("lab", sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")))
def test_labs_run_from_top_to_bottom(lab: str) -> None:
    result = subprocess.run(
        [sys.executable, NOTEBOOKS / "execute.py", lab],
        env=os.environ | {"HALFLIFE_SHORT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
