from __future__ import annotations

import math
from fractions import Fraction as Exact
from typing import Annotated, Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from scenarios import units

QUANTITIES = {
    "duration": units.DURATION,
    "event rate": units.EVENT_RATE,
    "volatility": units.VOLATILITY,
    "money": units.MONEY,
    "money rate": units.MONEY_RATE,
    "price": units.PRICE,
    "fraction": units.FRACTION,
    "count": units.COUNT,
    "size": units.SIZE,
    "number": units.NUMBER,
    "level": units.LEVEL,
}

GOOD: list[tuple[str, Any, Exact | float | int]] = [
    ("duration", "30s", Exact(30, 86_400)),
    ("level", 0.5, 0.5),
    ("level", -2, -2),
    ("level", "10%", Exact(1, 10)),
    ("level", "2.5 %", Exact(1, 40)),
    ("duration", "100ms", Exact(1, 864_000)),
    ("duration", "250us", Exact(250, 86_400 * 10**6)),
    ("duration", "250µs", Exact(250, 86_400 * 10**6)),
    ("duration", "15min", Exact(15, 1440)),
    ("duration", "90 min", Exact(90, 1440)),
    ("duration", "6h", 0.25),
    ("duration", "1h30min", Exact(90, 1440)),
    ("duration", "1 d 12 h", 1.5),
    ("duration", "7d", 7),
    ("duration", " 7 days ", 7),
    ("duration", "1 day", 1),
    ("duration", "2w", 14),
    ("duration", "1.5y", 547.5),
    ("duration", ".5d", 0.5),
    ("duration", "1e3 s", Exact(1000, 86_400)),
    ("duration", "1,000 d", 1000),
    ("duration", "1_000d", 1000),
    ("duration", "-3d", -3),
    ("duration", "\u22123d", -3),
    ("duration", "0", 0),
    ("duration", 0, 0),
    ("duration", 0.0, 0),
    ("event rate", "100/s", 8_640_000),
    ("event rate", "1M/d", 10**6),
    ("event rate", "12/y", Exact(12, 365)),
    ("event rate", "0.5/day", 0.5),
    ("event rate", "2%/d", 0.02),
    ("event rate", "2 % / d", 0.02),
    ("event rate", "3 per week", Exact(3, 7)),
    ("event rate", "1/month", Exact(12, 365)),
    ("event rate", "-0.02/d", -0.02),
    ("event rate", "5k/h", 120_000),
    ("volatility", "0.05/sqrt(d)", 0.05),
    ("volatility", "5%/sqrt( d )", 0.05),
    ("volatility", "0.2/sqrt(h)", 0.2 * math.sqrt(24)),
    ("volatility", "0.3/sqrt(y)", 0.3 / math.sqrt(365)),
    ("volatility", "0.05/√d", 0.05),
    ("money", "$5000", 5000),
    ("money", "$5,000.50", 5000.5),
    ("money", "$5k", 5000),
    ("money", "$1.2M", 1_200_000),
    ("money", "$1.2 million", 1_200_000),
    ("money", "$0.50", 0.5),
    ("money", "€5", 5),
    ("money", "£3", 3),
    ("money", "USD 5", 5),
    ("money", "5 CHF", 5),
    ("money", "5€", 5),
    ("money", "-$3", -3),
    ("money rate", "$3/h", 72),
    ("money rate", "$200/month", Exact(2400, 365)),
    ("money rate", "$50000/y", Exact(50_000, 365)),
    ("money rate", "$1k per day", 1000),
    ("price", "$0.30/million", Exact(3, 10**7)),
    ("price", "$0.30/M", Exact(3, 10**7)),
    ("price", "$0.002", 0.002),
    ("price", "$5/k", 0.005),
    ("price", "$5/1000", 0.005),
    ("price", "$2/1M tokens", Exact(2, 10**6)),
    ("price", "$0.02/query", 0.02),
    ("price", "$0.10 per label", 0.1),
    ("price", "$3/million queries", Exact(3, 10**6)),
    ("price", "$0.30/million points", Exact(3, 10**7)),
    ("price", "$0.005/evaluation", 0.005),
    ("fraction", "5%", 0.05),
    ("fraction", "0.05", 0.05),
    ("fraction", 0.05, 0.05),
    ("fraction", 1, 1),
    ("count", 1000, 1000),
    ("count", "1000", 1000),
    ("count", "1M", 10**6),
    ("count", "50k", 50_000),
    ("count", "1.5k", 1500),
    ("count", 1e6, 10**6),
    ("count", 2**53, 2**53),
    ("size", "1.5 GB", 1_500_000_000),
    ("size", "256 KB", 256_000),
    ("size", "256 kB", 256_000),
    ("size", "8 B", 8),
    ("size", "8 bytes", 8),
    ("size", "4GiB", 4 * 2**30),
    ("size", "1.5 KiB", 1536),
    ("number", 2, 2),
    ("number", -1.5, -1.5),
    ("number", np.float32(0.5), 0.5),
    ("number", np.int64(3), 3),
]

# What is given; then a part of the message that names it (None: nothing more than the value).
BAD: list[tuple[str, Any, str | None]] = [
    ("duration", "7 dyas", None),
    ("duration", "", None),
    ("duration", "d", None),
    ("duration", "7", "a number without unit"),
    ("duration", 7, "a number without unit"),
    ("duration", 7.0, "a number without unit"),
    ("duration", 10**400, "a number without unit"),
    ("duration", True, "true"),
    ("duration", False, "false"),
    ("duration", None, "nothing"),
    ("duration", [1], "a list"),
    ("duration", {"a": 1}, "a mapping"),
    ("duration", math.nan, ".nan"),
    ("duration", -math.inf, "-.inf"),
    ("duration", "nan", None),
    ("duration", "inf d", None),
    ("duration", "$5", "an amount of money"),
    ("duration", "$3/h", "a cost per time"),
    ("duration", "5/d", "a rate"),
    ("duration", "5%", "a percentage"),
    ("duration", "5 GB", "a size"),
    ("duration", "3mo", "months differ in length"),
    ("duration", "3 months", "months differ in length"),
    ("duration", "15m", "write 'min'"),
    ("duration", "1h -30min", None),
    ("duration", "7d7", None),
    ("duration", "٣d", None),
    ("duration", "1.2.3d", None),
    ("duration", "1,00d", None),
    ("duration", "9e307y", "too large"),
    ("duration", "1e999d", "too large"),
    ("duration", "1e9999d", None),
    ("duration", "7d\n7d", None),
    ("duration", "7" * 100 + "d", "..."),
    ("event rate", "5", "a number without unit"),
    ("event rate", 5, "a number without unit"),
    ("event rate", "5d", "a duration"),
    ("event rate", "2%", "a percentage"),
    ("event rate", "$5/d", "a cost per time"),
    ("event rate", "5/sqrt(d)", "a volatility"),
    ("event rate", "5/m", "write 'min'"),
    ("event rate", "5/", None),
    ("event rate", "5/query", None),
    ("volatility", "0.05/d", "a rate"),
    ("volatility", 0.05, "a number without unit"),
    ("volatility", "0.05/sqrt(d", None),
    ("money", 5, "a number without unit"),
    ("money", "5", "a number without unit"),
    ("money", "7d", "a duration"),
    ("money", "$", None),
    ("money", "$5m", "millions"),
    ("money", "$3/h", "a cost per time"),
    ("money", "$1/query", "a price per item"),
    ("money", "$5$", None),
    ("money", "XYZ 5", None),
    ("money rate", "$3", "an amount of money"),
    ("money rate", "3/h", "a rate"),
    ("money rate", "$3/query", "a price per item"),
    ("price", "$3/h", "a cost per time"),
    ("price", "$5/milion", None),
    ("price", "$5/million pints", None),
    ("price", "$5/0", None),
    ("price", "0.3", "a number without unit"),
    ("fraction", "$5", "an amount of money"),
    ("fraction", "5 %%", None),
    ("fraction", True, "true"),
    ("fraction", math.nan, ".nan"),
    ("count", 1.5, "1.5"),
    ("count", "1.5", "1.5"),
    ("count", "5%", "a percentage"),
    ("count", 2**53 + 1, "too large"),
    ("count", 10**400, "more than 60 digits"),
    ("count", 1e300, "too large"),
    ("count", np.bool_(True), None),
    ("size", "1.5 B", "1.5 B"),
    ("size", 8, "a number without unit"),
    ("size", "5 gb", None),
    ("size", "5 Mb", None),
    ("number", "1", "'1'"),
    ("number", True, "true"),
    ("number", math.inf, ".inf"),
    ("number", 10**400, "more than 60 digits"),
]


@pytest.mark.parametrize(("kind", "text", "value"), GOOD, ids=repr)
def test_reads_what_people_write(kind: str, text: Any, value: Exact | float) -> None:
    read = QUANTITIES[kind].parse(text)
    assert type(read) is float
    # Exact arithmetic inside: the nearest float, not a chain of rounded products.
    assert read == float(value)


@pytest.mark.parametrize(("kind", "text", "remark"), BAD, ids=repr)
def test_refuses_the_rest_in_a_sentence(kind: str, text: Any, remark: str | None) -> None:
    quantity = QUANTITIES[kind]
    with pytest.raises(ValueError, match=r"^got ") as error:
        quantity.parse(text)
    message = str(error.value)
    assert quantity.expected in message
    assert len(message) < 250
    assert "\n" not in message
    if remark is None:
        assert f"got {units.shown(text)}, expected {quantity.expected}" in message
    else:
        assert remark in message


def test_message_as_documented() -> None:
    with pytest.raises(ValueError) as error:
        units.DURATION.parse("7 dyas")
    assert str(error.value) == "got '7 dyas', expected a duration such as '6h', '7d', '90min'"
    with pytest.raises(ValueError) as error:
        units.MONEY.parse("7d")
    assert str(error.value).startswith("got '7d' (a duration), expected an amount of money such as '$5000'")


BOUNDS: list[tuple[Any, Any, bool]] = [
    (units.Days, "0d", True),
    (units.Days, "-1d", False),
    (units.PositiveDays, "1ms", True),
    (units.PositiveDays, "0d", False),
    (units.PositiveDays, 0, False),
    (units.PerDay, "0/d", True),
    (units.PerDay, "-1/d", False),
    (units.PositivePerDay, "0/d", False),
    (units.SignedPerDay, "-1/d", True),
    (units.PerSqrtDay, "-1/sqrt(d)", False),
    (units.Money, "$0", True),
    (units.Money, "-$1", False),
    (units.MoneyPerDay, "-$1/d", False),
    (units.MoneyPerItem, "-$1", False),
    (units.Fraction, "100%", True),
    (units.Fraction, 1.0000001, False),
    (units.Fraction, "-1%", False),
    (units.Fraction, "5", False),
    (units.Accuracy, 0, True),
    (units.Accuracy, 95, False),
    (units.Count, 0, True),
    (units.Count, -1, False),
    (units.PositiveCount, 1, True),
    (units.PositiveCount, 0, False),
    (units.Bytes, "0 B", True),
    (units.Bytes, "-1 B", False),
    (units.Real, -1e300, True),
    (Annotated[units.PositiveDays, Field(le=30)], "31d", False),
    (Annotated[units.PositiveDays, Field(le=30)], "720h", True),
    (Annotated[units.Real, Field(gt=1)], 1, False),
]


@pytest.mark.parametrize(("kind", "text", "fits"), BOUNDS)
def test_bounds_apply_to_what_was_read(kind: Any, text: Any, fits: bool) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    if fits:
        adapter.validate_python(text)
    else:
        with pytest.raises(ValidationError, match=r"greater than|less than"):
            adapter.validate_python(text)


def test_counts_are_int_and_the_rest_float() -> None:
    assert type(TypeAdapter(units.Count).validate_python("1M")) is int
    assert type(TypeAdapter(units.Bytes).validate_python("1 KB")) is float
    assert type(TypeAdapter(units.Real).validate_python(2)) is float


class Everything(BaseModel):
    duration: units.Days
    event_rate: units.SignedPerDay
    volatility: units.PerSqrtDay
    money: units.Money
    money_rate: units.MoneyPerDay
    price: units.MoneyPerItem
    fraction: units.Fraction
    count: units.Count
    size: units.Bytes
    number: units.Real
    level: units.Level


FIELDS = {kind: kind.replace(" ", "_") for kind in QUANTITIES}
VALID = {
    "duration": "6h",
    "event_rate": "12/y",
    "volatility": "0.05/sqrt(d)",
    "money": "$5000",
    "money_rate": "$3/h",
    "price": "$0.30/million",
    "fraction": "5%",
    "count": "50k",
    "size": "1.5 GB",
    "number": 0.5,
    "level": "10%",
}


def test_schema_is_that_of_the_file_in_both_modes() -> None:
    reading = Everything.model_json_schema(mode="validation")
    writing = Everything.model_json_schema(mode="serialization")
    assert reading["properties"] == writing["properties"]
    for name, quantity in QUANTITIES.items():
        assert quantity.expected in reading["properties"][FIELDS[name]]["description"]


def accepts(quantity: units.Quantity, value: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(quantity.json_schema()).is_valid(value))


FOR_EDITORS = [case for case in GOOD if not isinstance(case[1], np.generic) and "\u2212" not in str(case[1])]


@pytest.mark.parametrize(("kind", "text", "value"), FOR_EDITORS, ids=repr)
def test_editors_accept_what_is_read(kind: str, text: Any, value: float) -> None:
    assert accepts(QUANTITIES[kind], text)


# What a pattern cannot know: whether a number is whole, too large, not finite, or divides by zero.
BEYOND_FORM = ("9e307y", "1e999d", "7" * 100 + "d", "$5/0", "1.5", "1.5 B", str(2**53 + 1), str(10**400))
MISSPELT = [
    (kind, text)
    for kind, text, _ in BAD
    if str(text) not in BEYOND_FORM and not isinstance(text, float | np.generic)
]


@pytest.mark.parametrize(("kind", "text"), MISSPELT, ids=repr)
def test_editors_refuse_what_is_misspelt(kind: str, text: Any) -> None:
    assert not accepts(QUANTITIES[kind], text)


def test_examples_in_messages_are_right() -> None:
    for quantity in QUANTITIES.values():
        for example in quantity.examples:
            quantity.parse(example)


@given(
    number=st.decimals(min_value=0, max_value=10**6, places=3),
    unit=st.sampled_from(["ms", "s", "min", "h", "d", "w", "y"]),
    blank=st.sampled_from(["", " "]),
)
def test_any_duration_reads_as_the_nearest_float(number: Any, unit: str, blank: str) -> None:
    size = {"ms": Exact(1, 86_400_000), "s": Exact(1, 86_400), "min": Exact(1, 1440), "h": Exact(1, 24)}
    days = Exact(number) * {**size, "d": Exact(1), "w": Exact(7), "y": Exact(365)}[unit]
    assert units.DURATION.parse(f"{number:f}{blank}{unit}") == float(days)


@given(st.floats(min_value=0, max_value=1e12))
def test_any_duration_survives_writing(days: float) -> None:
    assert units.DURATION.parse(units.DURATION.write(days)) == days


@given(
    kind=st.sampled_from(["event rate", "volatility", "money", "money rate", "price"]),
    value=st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_value_survives_writing(kind: str, value: float) -> None:
    quantity = QUANTITIES[kind]
    assert quantity.parse(quantity.write(value)) == value


@given(st.integers(0, 2**53))
def test_any_size_survives_writing(size: int) -> None:
    assert units.SIZE.parse(units.SIZE.write(float(size))) == size


@given(
    st.one_of(st.text(max_size=80), st.from_regex(r"[-$€]?[0-9.,e]{1,6} ?[a-zA-Z/%()]{0,9}", fullmatch=True))
)
def test_any_text_is_a_finite_number_or_a_value_error(text: str) -> None:
    for quantity in QUANTITIES.values():
        try:
            value = quantity.parse(text)
        except ValueError as error:
            value, message = 0.0, str(error)
        else:
            message = quantity.expected
        assert math.isfinite(value)
        assert quantity.expected in message


def test_a_written_model_reads_back() -> None:
    model = Everything.model_validate(VALID)
    assert model.duration == 0.25
    text = model.model_dump_json()
    assert '"6h"' in text
    assert '"$0.3/million"' in text
    assert Everything.model_validate_json(text) == model
    assert model.model_dump()["duration"] == 0.25


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (0, "0 d"),
        (1 / 86_400 / 1000, "1 ms"),
        (2.5e-10, "21.6 us"),
        (30 / 86_400, "30 s"),
        (15 / 1440, "15 min"),
        (59.9999 / 1440, "1 h"),
        (0.25, "6 h"),
        (1.5, "1.5 d"),
        (7, "7 d"),
        (-7, "-7 d"),
        (365, "365 d"),
        (729, "729 d"),
        (730, "2 y"),
        (365 * 1234.5, "1,230 y"),
        (math.inf, "never"),
        (math.nan, "n/a"),
    ],
)
def test_format_duration(days: float, text: str) -> None:
    assert units.format_duration(days) == text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (0, "USD", "$0"),
        (3_550_000, "USD", "$3.55M"),
        (35_500_000, "USD", "$35.5M"),
        (355_400_000, "USD", "$355M"),
        (999_999, "USD", "$1.00M"),
        (999_400, "USD", "$999,400"),
        (9_996_000, "USD", "$10.0M"),
        (2.5e9, "USD", "$2.50B"),
        (1e12, "USD", "$1.00T"),
        (5000, "USD", "$5,000"),
        (999.999, "USD", "$1,000"),
        (72, "USD", "$72"),
        (72.5, "USD", "$72.50"),
        (0.06, "USD", "$0.06"),
        (0.00995, "USD", "$0.01"),
        (3e-7, "USD", "$0.0000003"),
        (0.0012, "USD", "$0.0012"),
        (-1234.4, "EUR", "-€1,234"),
        (5, "CHF", "CHF 5"),
        (math.inf, "USD", "$inf"),
        (math.nan, "USD", "n/a"),
    ],
)
def test_format_money(amount: float, currency: str, text: str) -> None:
    assert units.format_money(amount, currency) == text


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_can_be_formatted(value: float) -> None:
    assert len(units.format_money(value)) > 0
    assert len(units.format_duration(value)) > 0


def test_constants_agree() -> None:
    assert units.DURATION.parse("24h") == units.HOURS_PER_DAY / 24
    assert units.DURATION.parse("1d") * units.SECONDS_PER_DAY == 86_400
    assert units.DURATION.parse("1y") == units.DAYS_PER_YEAR
    assert units.MONEY_RATE.parse("$1/month") == 1 / units.DAYS_PER_MONTH
