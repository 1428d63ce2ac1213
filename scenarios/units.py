"""Units as people write them, and the field types that read them.

Inside the program time is in days, rates are per day, money is a float and sizes are in bytes. In a
scenario file the same things read `15min`, `100/s`, `$0.30/million` or `1.5 GB`. A `Quantity` turns one
into the other, refuses everything else with a sentence that says what would be right, and carries its own
JSON schema so that editors accept `7d` where the program holds a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction as Exact
from numbers import Integral
from numbers import Real as RealNumber
from typing import Annotated, Any, TypeGuard

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

HOURS_PER_DAY = 24.0
MINUTES_PER_DAY = 1440.0
SECONDS_PER_DAY = 86_400.0
DAYS_PER_YEAR = 365.0
MONTHS_PER_YEAR = 12.0
DAYS_PER_MONTH = 365.0 / MONTHS_PER_YEAR

MAX_LENGTH = 60
"""Longest text read as a quantity; longer ones are wrong anyway and only cost time."""
MAX_COUNT = 2**53
"""Largest count that a float64 still holds exactly."""

_SECOND = Exact(1, 86_400)
_LENGTHS: dict[str, Exact] = {
    name: days
    for names, days in (
        ("us µs", _SECOND / 1_000_000),
        ("ms msec millisecond milliseconds", _SECOND / 1000),
        ("s sec secs second seconds", _SECOND),
        ("min mins minute minutes", _SECOND * 60),
        ("h hr hrs hour hours", _SECOND * 3600),
        ("d day days", Exact(1)),
        ("w wk wks week weeks", Exact(7)),
        ("y yr yrs year years", Exact(365)),
    )
    for name in names.split()
}
# Months and quarters are fine in rates (a bill, a budget of alarms) and not as lengths (28 to 31 days).
_PERIODS = (
    _LENGTHS
    | dict.fromkeys(("mo", "month", "months"), Exact(365, 12))
    | dict.fromkeys(("quarter", "quarters"), Exact(365, 4))
)
_MAGNITUDES: dict[str, Exact] = {
    name: Exact(10) ** power
    for names, power in (
        ("k K thousand", 3),
        ("M million", 6),
        ("B bn billion", 9),
        ("T trillion", 12),
    )
    for name in names.split()
}
_SIZES: dict[str, Exact] = {"B": Exact(1), "byte": Exact(1), "bytes": Exact(1), "kB": Exact(1000)}
for _power, _letter in enumerate("KMGTP", start=1):
    _SIZES[f"{_letter}B"] = Exact(1000) ** _power
    _SIZES[f"{_letter}iB"] = Exact(1024) ** _power
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_CURRENCIES = (
    *SYMBOLS.values(),
    *SYMBOLS,
    *"AUD BRL CAD CHF CNY CZK DKK HKD ILS INR KRW MXN NOK NZD PLN SEK SGD TRY TWD ZAR".split(),  # noqa: SIM905
)
# A closed list: with any word allowed, '$5/milion' would be a million times too dear and no error.
_ITEMS = (  # noqa: SIM905
    "alert call device evaluation event example feature gpu host image inference item label message page point "
    "prediction query record request row sample token transaction update user window"
).split()
_ITEM_WORDS = [*_ITEMS, *(f"{noun}s" for noun in _ITEMS), "queries"]


def _any_of(words: Mapping[str, Exact] | list[str] | tuple[str, ...]) -> str:
    """A regular expression for one of the words, longest first."""
    return "(?:" + "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)) + ")"


# The patterns go into the JSON schema too, so they keep to what Python and ECMAScript share.
_UNSIGNED = (
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+(?:_[0-9]+)*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
)
_NUMBER = rf"([+-]?{_UNSIGNED})"
_SCALE = rf"({_any_of(_MAGNITUDES)})?"
_PER = r" *(?:/|per ) *"
CURRENCY = _any_of(_CURRENCIES)
_AMOUNT = rf"([+-]?) *(?:{CURRENCY} *{_NUMBER} *{_SCALE}|{_NUMBER} *{_SCALE} *{CURRENCY})"
_DURATION_PART = rf"({_UNSIGNED}) *({_any_of(_LENGTHS)})"
_DURATION_RULE = rf"([+-]?){_DURATION_PART}(?: *{_DURATION_PART})*"
_RATE_RULE = rf"{_NUMBER} *(%|{_any_of(_MAGNITUDES)})?{_PER}({_any_of(_PERIODS)})"
_ROOT_RULE = (
    rf"{_NUMBER} *(%)?{_PER}(?:sqrt *\( *({_any_of(_PERIODS)}) *\)|√ *\(? *({_any_of(_PERIODS)})(?: *\))?)"
)
_MONEY_RATE_RULE = rf"{_AMOUNT}{_PER}({_any_of(_PERIODS)})"
_PRICE_RULE = (
    rf"{_AMOUNT}(?:{_PER}(?:(?:({_UNSIGNED}) *{_SCALE}|({_any_of(_MAGNITUDES)})) *{_any_of(_ITEM_WORDS)}?"
    rf"|{_any_of(_ITEM_WORDS)}))?"
)
_FRACTION_RULE = rf"{_NUMBER} *(%)?"
_COUNT_RULE = rf"{_NUMBER} *{_SCALE}"
_SIZE_RULE = rf"{_NUMBER} *({_any_of(_SIZES)})"
_NUMBER_RULE = _NUMBER
_PERCENTAGE_RULE = rf"{_NUMBER} *%"


def _exact(number: str) -> Exact:
    return Exact(number.replace(",", "").replace("_", ""))


def _scale(name: str | None) -> Exact:
    return Exact(1, 100) if name == "%" else _MAGNITUDES[name] if name else Exact(1)


def _read_duration(found: re.Match[str]) -> Exact:
    parts = re.findall(_DURATION_PART, found[0])
    days = sum((_exact(number) * _LENGTHS[unit] for number, unit in parts), Exact(0))
    return -days if found[1] == "-" else days


def _read_rate(found: re.Match[str]) -> Exact:
    return _exact(found[1]) * _scale(found[2]) / _PERIODS[found[3]]


def _read_root(found: re.Match[str]) -> float:
    number = _exact(found[1]) * _scale(found[2])
    return float(number) * math.sqrt(1 / _PERIODS[found[3] or found[4]])


def _read_amount(found: re.Match[str]) -> Exact:
    amount = _exact(found[2] or found[4]) * _scale(found[3] or found[5])
    return -amount if found[1] == "-" else amount


def _read_money_rate(found: re.Match[str]) -> Exact:
    return _read_amount(found) / _PERIODS[found[6]]


def _read_price(found: re.Match[str]) -> Exact:
    return _read_amount(found) / (_exact(found[6] or "1") * _scale(found[7] or found[8]))


def _read_scaled(found: re.Match[str]) -> Exact:
    return _exact(found[1]) * _scale(found[2])


def _read_size(found: re.Match[str]) -> Exact:
    return _exact(found[1]) * _SIZES[found[2]]


def _is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number, of numpy's kind too; True and False are not."""
    if isinstance(value, bool) or not isinstance(value, (int, float, RealNumber)):
        return False
    return isinstance(value, Integral) or math.isfinite(value)


def _to_float(number: Exact | float | None) -> float | None:
    """The nearest float, None where there is none."""
    try:
        return None if number is None else float(number)
    except OverflowError:
        return None


@dataclass(frozen=True, eq=False)
class Quantity:
    """One kind of number with a unit: how it is written, read, shown and described to editors.

    Used as the metadata of an `Annotated` type, before any bounds:
    `Annotated[float, DURATION, Field(gt=0)]`; the bounds apply to what was read, in the inner unit.

    noun: what it is, with its article ('a duration')
    rule: regular expression of the whole text; `read` turns its match into the inner unit
    called: what a text of this kind is called where another kind is wanted, if not `noun`
    forms: ways to write a value back: prefix, suffix and size in the inner unit
    plain: whether a number without unit is allowed (0 always is)
    texts: whether a text is allowed
    integral: the value must be a whole number
    """

    noun: str
    examples: tuple[str | float, ...]
    rule: str
    read: Callable[[re.Match[str]], Exact | float]
    inner: str
    called: str = ""
    forms: tuple[tuple[str, str, Exact], ...] = ()
    plain: bool = False
    texts: bool = True
    integral: bool = False
    number_schema: dict[str, Any] = field(default_factory=dict)
    show: Callable[[float], str] = "{:g}".format

    @property
    def expected(self) -> str:
        """What would be right, as the end of a sentence: "a duration such as '6h', '7d', '90min'"."""
        return f"{self.noun} such as " + ", ".join(repr(example) for example in self.examples)

    def parse(self, value: object) -> float:
        """Read a value from a scenario file into the inner unit (a whole float if `integral`).

        Raises ValueError that names what was given and what is expected, for anything that is not this
        quantity: other dimensions, misspelt units, booleans, NaN and infinities, numbers without unit.

        >>> DURATION.parse("6h"), EVENT_RATE.parse("2%/d"), PRICE.parse("$0.30/million")
        (0.25, 0.02, 3e-07)
        >>> DURATION.parse("7 dyas")
        Traceback (most recent call last):
        ValueError: got '7 dyas', expected a duration such as '6h', '7d', '90min'
        """
        number = self._number(value)
        if number is None or (self.integral and number != int(number)):
            remark, hint = self._remark(value), self._hint(value)
            raise ValueError(f"got {shown(value)}{remark}, expected {self.expected}{hint}")
        result = _to_float(number)
        if result is None or (self.integral and not -MAX_COUNT <= number <= MAX_COUNT):
            raise ValueError(f"got {shown(value)}, which is too large, expected {self.expected}")
        return result

    def _number(self, value: object) -> Exact | float | int | None:
        """The value in the inner unit, or None if it is something else."""
        if isinstance(value, str) and self.texts:
            return self._from_text(value)
        return value if _is_number(value) and (self.plain or value == 0) else None

    def _from_text(self, text: str) -> Exact | float | None:
        if len(text) > MAX_LENGTH:
            return None
        text = text.strip().replace("−", "-")
        if text == "0":
            return Exact(0)
        found = re.fullmatch(self.rule, text)
        try:
            return self.read(found) if found else None
        except (ZeroDivisionError, OverflowError):
            return None

    def _remark(self, value: object) -> str:
        """What a value of another dimension is, in parentheses; empty if it is nothing known."""
        if _is_number(value):
            return "" if self.plain else " (a number without unit)"
        if not isinstance(value, str) or not self.texts or self._from_text(value) is not None:
            return ""
        kind = next((kind for kind in _KINDS if kind._from_text(value) is not None), None)
        if kind is None or (kind is NUMBER and self.plain):  # a number in quotes
            return ""
        return f" ({kind.called or kind.noun})"

    def _hint(self, value: object) -> str:
        """Extra help for the two mistakes that look right: months as a length, and the letter m."""
        if not isinstance(value, str) or len(value) > MAX_LENGTH:
            return ""
        ending = re.search(r"(?:^|[^a-zA-Z])(m|mo|months?)\)? *$", value)
        if ending is None:
            return ""
        if ending[1] == "m":
            return " ('m' could be minutes, months or millions: write 'min', 'month' or 'M')"
        return " (months differ in length: write days, or '12/y')" if self is DURATION else ""

    def write(self, value: float) -> str | float:
        """The shortest text that reads back as exactly this value; the value itself if none is needed.

        >>> DURATION.write(0.25), EVENT_RATE.write(12 / 365), PRICE.write(3e-7), FRACTION.write(0.05)
        ('6h', '12/y', '$0.3/million', 0.05)
        """
        if not self.forms or not math.isfinite(value):
            return value
        texts = []
        for rank, (prefix, suffix, size) in enumerate(self.forms):
            digits = f"{value / float(size):.12g}"
            text = f"{prefix}{digits}{suffix}"
            if _to_float(self._from_text(text)) == value:
                texts.append((len(digits) + rank, rank, text))
        prefix, suffix, _ = self.forms[0]
        return min(texts)[2] if texts else f"{prefix}{value!r}{suffix}"

    def json_schema(self) -> dict[str, Any]:
        """JSON schema of what `parse` accepts (its syntax; bounds are the field's)."""
        texts = [example for example in self.examples if isinstance(example, str)]
        numbers = [example for example in self.examples if not isinstance(example, str)]
        choices: list[dict[str, Any]] = []
        if self.texts:
            choices.append({"type": "string", "pattern": f"^ *(?:{self.rule}|0) *$", "examples": texts})
        if self.plain:
            choices.append({"type": "number", **self.number_schema, "examples": numbers})
        else:
            choices.append({"const": 0})
        choice = {"anyOf": choices} if len(choices) > 1 else choices[0]
        return {"description": f"{self.expected}; read as {self.inner}", **choice}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # Plain numbers go out as they are: a recorded series has too many for a call each.
        writer = core_schema.plain_serializer_function_ser_schema(self.write, when_used="json")
        return core_schema.no_info_before_validator_function(
            self.parse, handler(source), serialization=writer if self.forms else None
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.json_schema()


def shown(value: object) -> str:
    """A value as the writer of a YAML file knows it, short: "'7 dyas'", 'true', 'nothing', 'a mapping'.

    >>> shown("7 dyas"), shown(True), shown(None), shown({"a": 1})
    ("'7 dyas'", 'true', 'nothing', 'a mapping')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple, set)):
        return "a list" if value else "an empty list"
    if isinstance(value, int) and abs(value) >= 10**MAX_LENGTH:
        return "a whole number of more than 60 digits"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else "-.inf" if value < 0 else ".inf"
    text = value if isinstance(value, str) else repr(value)
    text = text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 3]}..."
    return repr(text) if isinstance(value, str) else text


def format_duration(days: float) -> str:
    """A length of time for tables, three significant digits, in the largest unit that makes it at least 1.

    >>> format_duration(0.25), format_duration(7), format_duration(15 / 1440), format_duration(1095)
    ('6 h', '7 d', '15 min', '3 y')
    """
    if not math.isfinite(days):
        return "n/a" if math.isnan(days) else "never"
    units = [("d", 1.0), ("h", 24.0), ("min", 1440.0), ("s", 86_400.0), ("ms", 86_400e3), ("us", 86_400e6)]
    if abs(days) >= 2 * DAYS_PER_YEAR:
        return f"{_significant(days / DAYS_PER_YEAR)} y"
    if days == 0:
        return "0 d"
    for unit, per_day in units:
        # 59.999 min is 1 h and not 60 min: the choice is made on the number that will be printed.
        if abs(float(f"{days * per_day:.3g}")) >= 1 or unit == "us":
            return f"{_significant(days * per_day)} {unit}"
    raise AssertionError("unreachable")


def format_money(amount: float, currency: str = "USD") -> str:
    """An amount for tables: whole from a thousand, three digits from a million, cents below.

    >>> format_money(3_550_000), format_money(5000), format_money(0.06), format_money(-12.5, "EUR")
    ('$3.55M', '$5,000', '$0.06', '-€12.50')
    """
    if math.isnan(amount):
        return "n/a"
    symbol = SYMBOLS.get(currency, f"{currency} ")
    sign = "-" if amount < 0 else ""
    return f"{sign}{symbol}{_amount_digits(abs(amount))}"


def format_size(size: float) -> str:
    """A size in bytes in the largest decimal unit that makes it at least 1.

    >>> format_size(256e3), format_size(12e6), format_size(1.5e9), format_size(8)
    ('256 KB', '12 MB', '1.5 GB', '8 B')
    """
    for unit in ("TB", "GB", "MB", "KB"):
        if size >= _SIZES[unit]:
            return f"{size / float(_SIZES[unit]):,.7g} {unit}"
    return f"{size:g} B"


def _amount_digits(amount: float) -> str:
    if amount == 0 or math.isinf(amount):
        return f"{amount:g}"
    for letter, size in (("T", 1e12), ("B", 1e9), ("M", 1e6)):
        if float(f"{amount:.3g}") >= size:
            return f"{_three_digits(amount / size)}{letter}"
    if round(amount, 2) >= 1000:
        return f"{amount:,.0f}"
    if round(amount, 2) >= 0.01:
        return f"{amount:.2f}".removesuffix(".00")
    # Prices per item are this small; two significant digits without an exponent.
    return (
        f"{amount:.{1 - math.floor(math.log10(amount))}f}".rstrip("0") if amount > 1e-12 else f"{amount:.2g}"
    )


def _three_digits(number: float) -> str:
    digits = 2 if float(f"{number:.3g}") < 10 else 1 if float(f"{number:.3g}") < 100 else 0
    return f"{number:,.{digits}f}"


def _significant(number: float) -> str:
    return f"{float(f'{number:.3g}'):,.10g}"


def _forms(prefix: str, divide: bool, units: str) -> tuple[tuple[str, str, Exact], ...]:
    """Ways to write a value back: (prefix, suffix, size of one in the inner unit)."""
    if divide:
        return tuple((prefix, f"/{unit}", 1 / _PERIODS[unit]) for unit in units.split())
    return tuple((prefix, unit, _LENGTHS[unit]) for unit in units.split())


DURATION = Quantity(
    "a duration", ("6h", "7d", "90min"), _DURATION_RULE, _read_duration, "days",
    forms=_forms("", False, "d h min s ms y"), show=format_duration,
)  # fmt: skip
EVENT_RATE = Quantity(
    "a rate", ("100/s", "1M/d", "2%/d", "12/y"), _RATE_RULE, _read_rate, "per day",
    forms=_forms("", True, "d h s y w month min"), show="{:g}/d".format,
)  # fmt: skip
VOLATILITY = Quantity(
    "a volatility", ("0.05/sqrt(d)", "0.2/sqrt(h)"), _ROOT_RULE, _read_root, "per square root of a day",
    forms=(("", "/sqrt(d)", Exact(1)),), show="{:g}/sqrt(d)".format,
)  # fmt: skip
MONEY = Quantity(
    "an amount of money", ("$5000", "$1.2M", "$0.50"), _AMOUNT, _read_amount, "money",
    forms=(("$", "", Exact(1)), ("$", "M", Exact(10**6))), show=format_money,
)  # fmt: skip
MONEY_RATE = Quantity(
    "a cost per time", ("$3/h", "$200/month", "$50000/y"), _MONEY_RATE_RULE, _read_money_rate,
    "money per day",
    forms=_forms("$", True, "d h month y"), show=lambda amount: f"{format_money(amount)}/d",
)  # fmt: skip
PRICE = Quantity(
    "a price per item", ("$0.30/million", "$0.002", "$5/k", "$0.02/query"), _PRICE_RULE, _read_price,
    "money per single item",
    forms=(("$", "", Exact(1)), ("$", "/million", Exact(1, 10**6))), show=format_money,
)  # fmt: skip
FRACTION = Quantity(
    "a fraction between 0 and 1", ("5%", 0.05), _FRACTION_RULE, _read_scaled, "a fraction",
    called="a percentage", plain=True, number_schema={"minimum": 0, "maximum": 1},
)  # fmt: skip
COUNT = Quantity(
    "a whole number", (1000, "50k", "1M"), _COUNT_RULE, _read_scaled, "a count",
    plain=True, integral=True, number_schema={"multipleOf": 1},
)  # fmt: skip
SIZE = Quantity(
    "a size in whole bytes", ("1.5 GB", "256 KB", "8 B"), _SIZE_RULE, _read_size, "bytes", integral=True,
    forms=tuple(("", f" {unit}", _SIZES[unit]) for unit in ("B", "KB", "MB", "GB", "TB", "KiB", "MiB")),
)  # fmt: skip
NUMBER = Quantity(
    "a plain number", (0.5, 2, -1.5), _NUMBER_RULE, lambda found: _exact(found[1]), "a number",
    called="a number without unit", plain=True, texts=False,
)  # fmt: skip
LEVEL = Quantity(
    "a plain number or a percentage", (0.5, 2, "10%"), _PERCENTAGE_RULE,
    lambda found: _exact(found[1]) / 100, "a number", plain=True,
)  # fmt: skip

# In the order in which a text of the wrong dimension is named: '$5' is money before it is a price.
_KINDS = (DURATION, EVENT_RATE, VOLATILITY, MONEY, MONEY_RATE, PRICE, SIZE, NUMBER, FRACTION, COUNT)

Days = Annotated[float, DURATION, Field(ge=0)]
"""Duration in days, >= 0."""
PositiveDays = Annotated[float, DURATION, Field(gt=0)]
"""Duration in days, > 0."""
PerDay = Annotated[float, EVENT_RATE, Field(ge=0)]
"""Rate per day, >= 0."""
PositivePerDay = Annotated[float, EVENT_RATE, Field(gt=0)]
"""Rate per day, > 0."""
SignedPerDay = Annotated[float, EVENT_RATE]
"""Rate per day of either sign."""
PerSqrtDay = Annotated[float, VOLATILITY, Field(ge=0)]
"""Volatility per square root of a day, >= 0."""
Money = Annotated[float, MONEY, Field(ge=0)]
"""Amount in the scenario's currency, >= 0."""
MoneyPerDay = Annotated[float, MONEY_RATE, Field(ge=0)]
"""Amount per day, >= 0."""
MoneyPerItem = Annotated[float, PRICE, Field(ge=0)]
"""Amount per single item, >= 0."""
Fraction = Annotated[float, FRACTION, Field(ge=0, le=1)]
"""Share in [0, 1]."""
Accuracy = Annotated[float, FRACTION, Field(ge=0, le=1)]
"""Accuracy in [0, 1]."""
Count = Annotated[int, COUNT, Field(ge=0)]
"""Whole number >= 0."""
PositiveCount = Annotated[int, COUNT, Field(gt=0)]
"""Whole number > 0."""
Bytes = Annotated[float, SIZE, Field(ge=0)]
"""Size in bytes, a whole number held as a float, >= 0."""
Real = Annotated[float, NUMBER]
"""Finite number without dimension."""
Level = Annotated[float, LEVEL]
"""Finite number without dimension, which may be written as a percentage."""
