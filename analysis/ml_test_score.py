"""The ML Test Score: sixteen tests of readiness for production, added up and read by the source's bands.

Each test is answered 0 (not implemented), 0.5 (partly) or 1 (fully automated). A total on the border of two bands
belongs to the higher one: 5 is developing, 10 mature, 15 production-grade. Answers are a scenario's overlay as well
(`scenarios.ml_test_answers`), so that what a better score would bring can be simulated. Source: chapter, 'ML Test
Score' (after Breck et al. 2017, who take the weakest of the four categories instead of their sum).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios.document import Document
from scenarios.ml_test_answers import (
    ANSWERS,
    CATEGORIES,
    ScoredTest,
    checked_answers,
    is_answers,
    scored_tests,
)
from scenarios.problems import fail, label
from scenarios.yaml_reading import read_file, read_mapping
from sim.displays import Displayed

BANDS = (
    (0.0, "ad hoc", "high-risk deployment: expect frequent incidents that are hard to debug"),
    (
        5.0,
        "developing",
        "basic automation with gaps: for low-stakes internal applications with active support",
    ),
    (10.0, "mature", "most best practices are there: for customer-facing applications with moderate risk"),
    (15.0, "production-grade", "comprehensive automation: for safety-critical or high-stakes applications"),
)
"""Least total of each band, its name, and what the source says of it."""


@dataclass(frozen=True, repr=False)
class ReadinessScore(Displayed):
    """Answers and what they add up to."""

    answers: dict[str, float]
    """0, 0.5 or 1 by test; a test without an answer counts 0."""

    def __str__(self) -> str:
        """As `halflife test-score` prints it."""
        return _text(self)

    def headline(self) -> str:
        """Total and band."""
        return f"ML Test Score {self.total:g} of {len(scored_tests())}: {self.band}"

    def _shown(self) -> pd.DataFrame:
        points = pd.Series(self.by_category(), name="points").rename_axis("category").to_frame()
        return points.assign(of=float(len(scored_tests())) / len(points))

    def plot(self, ax: Any = None) -> Any:
        """Points of each category out of four; returns matplotlib axes."""
        from analysis.plot_scores import plot_score

        return plot_score(self, ax)

    @property
    def total(self) -> float:
        """0 to 16."""
        return sum(self.answers.values())

    @property
    def band(self) -> str:
        """Name of the band of the total."""
        return band_of(self.total)

    @property
    def unanswered(self) -> list[str]:
        """Tests without an answer."""
        return [test.id for test in scored_tests() if test.id not in self.answers]

    @property
    def weakest(self) -> list[ScoredTest]:
        """Tests that are not fully automated, the weakest first, in the source's order among equals."""
        short = [test for test in scored_tests() if self.answers.get(test.id, 0.0) < 1.0]
        return sorted(short, key=lambda test: self.answers.get(test.id, 0.0))

    def by_category(self) -> dict[str, float]:
        """Points of each of the four categories, 0 to 4."""
        return {
            category: sum(self.answers.get(t.id, 0.0) for t in scored_tests() if t.category == category)
            for category in CATEGORIES
        }

    def table(self) -> pd.DataFrame:
        """One row a test: category, points (NaN without an answer), text, whether something simulated hangs on it."""
        rows = [
            {
                "test": test.id,
                "category": test.category,
                "points": self.answers.get(test.id, float("nan")),
                "text": test.text,
                "simulated": any(test.changes.values()),
            }
            for test in scored_tests()
        ]
        return pd.DataFrame(rows).set_index("test")

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `halflife test-score --json`."""
        return {
            "total": self.total,
            "of": float(len(scored_tests())),
            "band": self.band,
            "meaning": _meaning(self.total),
            "categories": self.by_category(),
            "weakest_category": min(self.by_category().items(), key=lambda item: item[1])[0],
            "answers": self.answers,
            "unanswered": self.unanswered,
            "weakest": [
                {"test": test.id, "category": test.category, "points": self.answers.get(test.id, 0.0)}
                | {"text": test.text, "example": test.example, "simulated": any(test.changes.values())}
                for test in self.weakest
            ],
        }


def band_of(total: float) -> str:
    """Name of the band of a total from 0 to 16; a border belongs to the higher band. Raises ValueError.

    >>> [band_of(total) for total in (4.5, 5, 10, 14.5, 15)]
    ['ad hoc', 'developing', 'mature', 'mature', 'production-grade']
    """
    if not 0.0 <= total <= len(scored_tests()):
        raise ValueError(f"total: got {total}, expected 0 to {len(scored_tests())}")
    return next(name for least, name, _ in reversed(BANDS) if total >= least)


def readiness_score(answers: Mapping[str, float] | str | Path) -> ReadinessScore:
    """The score of answers by test (0, 0.5 or 1 points each), or of a YAML or JSON file with the field `answers`.

    Raises ScenarioError for a file that cannot be read, an unknown test, and an answer other than 0, 0.5 and 1.

    >>> found = readiness_score({"rollback": 1, "staleness_retrains": 0.5})
    >>> found.total, found.band, len(found.unanswered)
    (1.5, 'ad hoc', 14)
    """
    if isinstance(answers, Mapping):
        return ReadinessScore(checked_answers(Document("answers", {ANSWERS: dict(answers)})))
    name = label(str(answers))
    document = read_mapping(read_file(Path(answers), name), name)
    if not is_answers(document):
        fail(
            name,
            1,
            f"field {ANSWERS} is missing, expected a mapping of tests, such as answers: {{rollback: 0.5}}",
        )
    return ReadinessScore(checked_answers(document))


def _meaning(total: float) -> str:
    return next(text for least, _, text in reversed(BANDS) if total >= least)


def _text(score: ReadinessScore) -> str:
    from analysis.report import aligned

    tests = len(scored_tests())
    blocks = [f"ML Test Score {score.total:g} of {tests}: {score.band} ({_meaning(score.total)})"]
    parts = score.by_category().items()
    blocks.append(aligned({name: {"points": f"{points:g}", "of": "4"} for name, points in parts}, "category"))
    following = [(least, name) for least, name, _ in BANDS if least > score.total]
    if following:
        blocks.append(f"{following[0][0] - score.total:g} points to {following[0][1]}.")
    if score.weakest:
        rows = [
            f"{score.answers[test.id]:>5g}" if test.id in score.answers else "    -" for test in score.weakest
        ]
        lines = [
            f"{points}  {test.category:<14}  {test.id:<24}  {test.text}{'' if any(test.changes.values()) else ' *'}"
            for points, test in zip(rows, score.weakest, strict=True)
        ]
        blocks.append("\n".join(["Weakest first", "", "  pts  category        test", *lines]))
        blocks.append("* nothing that is simulated hangs on it; -: no answer, counted as 0")
    return "\n\n".join(blocks)
