"""What `halflife compare --variant` does: variants of one system, instead of retraining policies."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.command_line import conclude, policy_from, prepare, show_json, tell_files, tell_warnings
from analysis.completion import complete_variant

Variants = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        metavar="NAME[=OVERLAY[+OVERLAY]][@POLICY]",
        help="compare ways to run the system instead, the first is the baseline; e.g. ad_hoc, base or "
        "night=ad_hoc+own.yaml@scheduled:90d; repeatable",
        autocompletion=complete_variant,
    ),
]


def compare_these(
    scenario: Any,
    variants: Sequence[str],
    *,
    policies: Sequence[str] | None,
    require: Sequence[str],
    out: Path | None,
    json: bool,
    **plan: Any,
) -> None:
    """Compare variants and tell what was found; the parameters are those of the command.

    Raises ValueError for what does not fit; exit status 3 when a requirement does not hold.
    """
    if policies:
        raise ValueError("--policy: with --variant write the policy behind the variant, such as ad_hoc@never")
    prepare(out)
    from analysis.requirements import check_comparison, parse_requirement
    from analysis.variants import compare_variants, parse_variant

    requirements = [parse_requirement(text) for text in require]
    parsed = [parse_variant(text) for text in variants]
    wanted = [
        replace(variant, policy=policy_from(variant.policy)) if isinstance(variant.policy, str) else variant
        for variant in parsed
    ]
    found = compare_variants(scenario, wanted, progress=sys.stderr.isatty(), **plan)
    tell_warnings(found.warnings)
    checks = check_comparison(found, requirements)
    files = found.save(out) if out else []
    if json:
        answers = {"requirements": [check.document() for check in checks]} if checks else {}
        show_json(found.to_dict() | answers)
    else:
        typer.echo(str(found))
        tell_files(files)
    conclude(checks, scenario.currency)
