"""One currency a scenario: an amount in another one is an error, because nothing converts it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from scenarios.document import Trail, dotted
from scenarios.units import CURRENCY, MAX_LENGTH, MONEY, MONEY_RATE, PRICE, SYMBOLS, shown

_TEXTS = ("title", "story", "question", "source", "look_at", "name")
"""Fields that hold words, whatever these look like."""


def check_currency(data: Any, currency: str) -> None:
    """Raise ValueError, naming the place, for an amount in another currency than the scenario's.

    data: the scenario as it was written.

    >>> check_currency({"monitors": [{"cost": "€30/month"}]}, "USD")
    Traceback (most recent call last):
    ValueError: monitors[0].cost: '€30/month' is in €, and the scenario's currency is USD: convert the amount and \
write it with $ or USD, or set currency
    """
    for trail, text in _texts(data, ()):
        sign = foreign_currency(text, currency)
        if sign is not None:
            either = "$ or USD" if currency == "USD" else f"{currency} (or $, which stands for it)"
            raise ValueError(
                f"{dotted(trail)}: {shown(text)} is in {sign}, and the scenario's currency is {currency}: convert the "
                f"amount and write it with {either}, or set currency"
            )


def _texts(data: Any, trail: Trail) -> Iterator[tuple[Trail, str]]:
    """Texts that may be amounts, with their places."""
    if isinstance(data, str):
        yield trail, data
    elif isinstance(data, dict):
        for key, value in data.items():
            if key not in _TEXTS:
                yield from _texts(value, (*trail, str(key)))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _texts(value, (*trail, number))


def foreign_currency(text: str, currency: str) -> str | None:
    """The sign or code of an amount in another currency than the scenario's; None for its own, and where it is none.

    The sign $ is that of all money, because amounts are written out with it; other signs and codes mean what they say.

    >>> foreign_currency("€30/month", "USD"), foreign_currency("$3/h", "EUR"), foreign_currency("30 CHF", "CHF")
    ('€', None, None)
    """
    amount = text.strip()
    if len(amount) > MAX_LENGTH or not any(
        re.fullmatch(kind.rule, amount) for kind in (MONEY, MONEY_RATE, PRICE)
    ):
        return None
    found = re.search(CURRENCY, amount)
    own = ("$", currency, SYMBOLS.get(currency))
    return None if found is None or found[0] in own else found[0]
