"""Topics of the library: what a scenario is there to teach, in the order in which a newcomer meets them."""

from __future__ import annotations

from typing import Literal, get_args

Topic = Literal["retraining", "claims", "monitoring", "debt", "operations", "serving", "edge", "people"]
TOPICS: dict[Topic, str] = {
    "retraining": "When to retrain",
    "claims": "Claims of the literature, put to the test",
    "monitoring": "What to watch, and what it finds",
    "debt": "Technical debt: skew, feedback, cascades, configuration",
    "operations": "Deployment, incidents, maturity",
    "serving": "GPU capacity and latency",
    "edge": "Edge fleets and over-the-air updates",
    "people": "People who decide along with the model",
}
"""Heading of each topic, in the order of `halflife list`."""
OTHER = "Without a topic"
"""Heading of scenarios that name no topic."""


def topic_names() -> tuple[Topic, ...]:
    """All topics, in the order of `halflife list`."""
    return get_args(Topic)
