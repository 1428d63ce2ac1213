"""The field `prevent` of an overlay: failures that do not begin in the first place, by their cause.

`prevent: {skew: 80%}` makes failures whose cause is skew that much rarer, whatever a scenario calls them: those that
begin at random moments by their rate, those that follow an action by their chance. 100% takes them out. Failures at
given moments stay as they are, unless they are taken out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from scenarios.document import Document, Trail
from scenarios.failure_catalogue import Cause
from scenarios.overlay_merge import merged
from scenarios.problems import ScenarioError, choice
from scenarios.units import EVENT_RATE, FRACTION, shown

if TYPE_CHECKING:
    from scenarios.failures import Failure
    from scenarios.schema import Scenario

CAUSES: tuple[str, ...] = get_args(Cause)


def prevented(document: Document, scenario: Scenario, over: Document) -> Document:
    """The document of `scenario` with failures as rare as the field `prevent` of the overlay `over` makes them.

    Raises ScenarioError for a cause that there is not, and a share that is none.
    """
    shares = _shares(over)
    change = Document(over.source, {"failures": {}})
    for failure in scenario.failures:
        share = shares.get(failure.cause, 0.0)
        rarer = _rarer(failure, share)
        if share == 0.0 or rarer == {}:
            continue
        change.data["failures"][failure.name] = rarer
        line = over.lines.get(("prevent", failure.cause))
        if line is not None:
            change.lines["failures", failure.name] = line
    return merged(document, change) if change.data["failures"] else document


def _shares(over: Document) -> dict[str, float]:
    given = over.data["prevent"]
    if not isinstance(given, Mapping):
        _refuse(over, ("prevent",), f"got {shown(given)}, expected a mapping such as {{skew: 80%}}")
    found = {}
    for cause, share in given.items():
        at: Trail = ("prevent", cause)
        if cause not in CAUSES:
            _refuse(over, at, f"unknown cause {shown(cause)}: {choice(cause, CAUSES)}")
        try:
            found[cause] = FRACTION.parse(share)
        except ValueError as error:
            _refuse(over, at, str(error))
        if not 0.0 <= found[cause] <= 1.0:
            _refuse(over, at, f"got {shown(share)}, expected a share from 0 to 100%")
    return found


def _rarer(failure: Failure, share: float) -> dict[str, Any] | None:
    """Fields that make a failure rarer; None takes it out."""
    if share == 1.0:
        return None
    left = 1.0 - share
    if failure.rate is not None:
        return {"rate": EVENT_RATE.write(failure.rate * left)}
    if failure.trigger is not None:
        written = failure.trigger.model_dump(mode="json", exclude_unset=True)
        return {"trigger": written | {"probability": failure.trigger.probability * left}}
    return {}


def _refuse(over: Document, at: Trail, message: str) -> NoReturn:
    raise ScenarioError([over.problem(at, "", message)])
