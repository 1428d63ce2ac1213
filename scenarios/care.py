"""Care: patients whose treatment a model adjusts, and clinicians who set its bounds and agree to the rest.

Three loops: the model recommends steps of a dose from what a wrist sensor measures, and those within the clinicians'
bounds are taken at once; clinicians decide about the others and answer alerts; visits come as often as a patient needs.
Source: chapter, 'ClinAIOps Case Study' (Chen et al., 2023) and 'Hypertension Case Example'. It describes the loops and
gives no figures: every default below is an assumption, plausible for adults with hypertension, to be replaced by
those of a cohort of one's own.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration, Fixed
from scenarios.pressure_units import PositivePressure, Pressure, PressurePerDay, SignedPressure
from scenarios.units import (
    DAYS_PER_YEAR,
    Count,
    Days,
    Fraction,
    Money,
    MoneyPerDay,
    PerDay,
    PositiveCount,
    PositiveDays,
    Real,
)
from scenarios.working_hours import WorkingHours
from scenarios.world import none_from_word


def _lasting(duration: str) -> Fixed:
    return Fixed.model_validate({"kind": "fixed", "value": duration})


class Patients(Component):
    """People and their systolic pressure, the mean of a day. What each is like is drawn once for each patient."""

    number: PositiveCount = Field(default=200, description="patients; each belongs to one of the slices")
    untreated: PositivePressure = Field(default=152.0, description="mean pressure without treatment")
    untreated_sd: Pressure = Field(default=10.0, description="its spread over patients")
    season: Pressure = Field(default=4.0, description="half the swing between winter and summer, mean")
    season_sd: Pressure = Field(default=1.5, description="its spread over patients")
    season_peak: Days = Field(default=15.0, description="day of the year at which pressure is highest")
    swing_sd: Pressure = Field(
        default=6.0, description="spread of the day-to-day swings of one patient (Ornstein-Uhlenbeck)"
    )
    swing_time: PositiveDays = Field(default=2.0, description="time in which a swing falls to 37 %")
    trend: PressurePerDay = Field(default=1.0 / DAYS_PER_YEAR, description="slow change, mean")
    trend_sd: PressurePerDay = Field(default=2.0 / DAYS_PER_YEAR, description="its spread over patients")
    sensitivity: PositivePressure = Field(
        default=5.0,
        description="fall by one step of the dose, in the end, mean; the model does not know a patient's own",
    )
    sensitivity_sd: Pressure = Field(default=1.5, description="its spread over patients")
    onset: PositiveDays = Field(
        default=7.0, description="time in which 63 % of a change of dose takes effect"
    )
    adherence: Fraction = Field(
        default=0.88, description="share of the days on which a median patient takes it"
    )
    adherence_spread: Annotated[Real, Field(ge=0)] = Field(
        default=0.8, description="its spread over patients, standard deviation of the log odds"
    )
    first_dose: Count = Field(default=2, description="steps that all take on day 0, in effect by then")


class Sensor(Component):
    """What a day on the wrist says, and how far the model's estimate of it is off when it is fresh.

    The errors of the model grow in proportion to its share of wrong answers: sd = base (1 - A(t)) / (1 - A0), with
    the accuracy A of the patient's slice, as it is served on that day, and A0 that of the first model at the start.
    """

    patient_error: Pressure = Field(
        default=3.0, description="error of a fresh model that stays with a patient, standard deviation"
    )
    daily_error: Pressure = Field(
        default=5.0, description="error of a fresh model that changes from day to day"
    )
    bias: SignedPressure = Field(
        default=0.0,
        description="shift of the estimates for each 10 points of accuracy that the slice has lost",
    )
    motion: Fraction = Field(default=0.15, description="share of the days spoilt by motion")
    motion_error: Pressure = Field(
        default=12.0, description="further error on such a day, standard deviation"
    )
    lost: Fraction = Field(default=0.1, description="share of the days without any estimate")


class Hazard(Component):
    """Harm that comes at random, more often the farther the true pressure is on the wrong side.

    Its rate on a day is rate * exp(distance / scale), distance in mmHg beyond `at`; at most one a day.
    """

    rate: PerDay = Field(description="events of one patient at the pressure `at`, e.g. '1/y'")
    at: PositivePressure = Field(description="pressure to which `rate` belongs")
    scale: PositivePressure = Field(description="distance over which the rate grows 2.72 times")
    cost: Money = Field(default=0.0, description="an event")


class Hypotension(Hazard):
    """Faints and falls, the more the lower the pressure."""

    rate: PerDay = Field(
        default=2.0 / DAYS_PER_YEAR, description="events of one patient at the pressure `at`"
    )
    at: PositivePressure = Field(default=100.0, description="pressure to which `rate` belongs")
    scale: PositivePressure = Field(default=5.0, description="fall over which the rate grows 2.72 times")
    cost: Money = Field(default=4000.0, description="an event")


class Crisis(Hazard):
    """Hypertensive crises, the more the higher the pressure."""

    rate: PerDay = Field(
        default=0.5 / DAYS_PER_YEAR, description="events of one patient at the pressure `at`"
    )
    at: PositivePressure = Field(default=165.0, description="pressure to which `rate` belongs")
    scale: PositivePressure = Field(default=8.0, description="rise over which the rate grows 2.72 times")
    cost: Money = Field(default=12000.0, description="an event")


class Harm(Component):
    """What the wrong pressure does to patients."""

    hypotension: Hypotension = Field(default=Hypotension(), description="when it is too low")
    crisis: Crisis = Field(default=Crisis(), description="when it is too high")


class Regimen(Component):
    """Therapy as clinicians set it out for everybody."""

    low: PositivePressure = Field(default=110.0, description="lower end of the target range")
    high: PositivePressure = Field(default=130.0, description="upper end of the target range")
    doses: PositiveCount = Field(default=12, description="highest dose, in steps")
    per_step: PositivePressure = Field(
        default=5.0, description="fall by one step that model and clinicians reckon with"
    )
    largest: PositiveCount = Field(default=3, description="steps that are proposed in one go, at most")
    settle: Days = Field(
        default=5.0, description="days after a change that say little yet, and bring no increase"
    )

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low: got {self.low:g} mmHg, expected less than high ({self.high:g} mmHg)")
        return self


class Recommending(Component):
    """How the model recommends: from the mean of the trailing days since the last change has settled."""

    cadence: PositiveDays = Field(default=7.0, description="time between two looks at a patient, whole days")
    window: PositiveDays = Field(default=14.0, description="trailing days that it looks at, whole days")
    least_days: Annotated[PositiveCount, Field(ge=2)] = Field(
        default=3, description="days with an estimate below which it says nothing"
    )


_NONE = "; no limit when none"
Limit = BeforeValidator(none_from_word)


class Bounds(Component):
    """What the model may do alone, as clinicians have set it; everything else waits for one of them."""

    step: Annotated[Count | None, Limit] = Field(default=1, description=f"largest change in steps{_NONE}")
    lowest: Annotated[Count | None, Limit] = Field(default=1, description=f"lowest dose{_NONE}")
    highest: Annotated[Count | None, Limit] = Field(default=8, description=f"highest dose{_NONE}")
    standard_error: Annotated[Pressure | None, Limit] = Field(
        default=5.0, description=f"an estimate less certain than this is uncertain, and goes to review{_NONE}"
    )


class Clinicians(Component):
    """People with one queue: alerts before recommendations before visits; nobody is taken off what they do."""

    number: PositiveCount = Field(default=1, description="clinicians")
    hours: WorkingHours = Field(default=WorkingHours(), description="when they work for these patients")
    review: Duration = Field(
        default=_lasting("6min"), description="time of a decision about a recommendation"
    )
    alert: Duration = Field(default=_lasting("12min"), description="time that an alert takes")
    hourly_cost: MoneyPerDay = Field(default=150.0 * 24.0, description="time that they work, e.g. '$150/h'")
    cuff_error: Pressure = Field(
        default=3.0, description="error of the measurement that they ask for, standard deviation"
    )
    cuff_days: PositiveDays = Field(
        default=7.0, description="trailing days that this measurement is the mean of, whole days"
    )


class Visits(Component):
    """A visit measures, adjusts the dose, and sets the next one: later when in range, sooner when not."""

    first: PositiveDays = Field(default=30.0, description="interval at the start")
    shortest: PositiveDays = Field(default=14.0, description="interval below which it never falls")
    longest: PositiveDays = Field(default=180.0, description="interval that it never passes")
    longer: Annotated[Real, Field(ge=1)] = Field(
        default=1.5, description="factor on the interval when in range"
    )
    shorter: Annotated[Real, Field(gt=0, le=1)] = Field(default=0.5, description="factor on it when not")
    duration: Duration = Field(default=_lasting("20min"), description="time that it takes a clinician")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.shortest <= self.first <= self.longest:
            raise ValueError("first: expected not below shortest, and not above longest")
        return self


class Alerts(Component):
    """When a patient jumps the queue: estimates far out of range for some days, or harm that happened."""

    below: Pressure = Field(default=95.0, description="mean of the trailing days: persistent hypotension")
    above: PositivePressure = Field(
        default=170.0, description="mean of the trailing days: hypertensive crisis"
    )
    days: PositiveDays = Field(default=3.0, description="trailing days, whole days")
    quiet: Days = Field(default=7.0, description="time after an alert in which its patient raises no other")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.below >= self.above:
            raise ValueError(
                f"below: got {self.below:g} mmHg, expected less than above ({self.above:g} mmHg)"
            )
        return self


class Care(Component):
    """Patients under a model that adjusts their treatment within bounds, and clinicians beside it."""

    patients: Patients = Patients()
    sensor: Sensor = Sensor()
    harm: Harm = Harm()
    regimen: Regimen = Regimen()
    recommending: Recommending = Recommending()
    bounds: Bounds = Bounds()
    clinicians: Clinicians = Clinicians()
    visits: Visits = Visits()
    alerts: Alerts = Alerts()

    @property
    def world(self) -> tuple[Patients, Sensor, Harm]:
        """What does not depend on how anybody is treated."""
        return self.patients, self.sensor, self.harm

    @model_validator(mode="after")
    def _fits(self) -> Self:
        whole = {
            "recommending.cadence": self.recommending.cadence,
            "recommending.window": self.recommending.window,
            "clinicians.cuff_days": self.clinicians.cuff_days,
            "alerts.days": self.alerts.days,
            "regimen.settle": self.regimen.settle,
        }
        for place, days in whole.items():
            if abs(days - round(days)) > 1e-9:
                raise ValueError(
                    f"{place}: got {days:g} d, expected whole days, patients are looked at once a day"
                )
        if self.recommending.least_days > self.recommending.window:
            raise ValueError(
                f"recommending.least_days: got {self.recommending.least_days}, expected at most the "
                f"{self.recommending.window:g} days of window"
            )
        doses = self.regimen.doses
        if self.patients.first_dose > doses:
            raise ValueError(
                f"patients.first_dose: got {self.patients.first_dose}, expected at most regimen.doses, {doses}"
            )
        low, high = self.bounds.lowest, self.bounds.highest
        if low is not None and high is not None and low > high:
            raise ValueError(f"bounds.lowest: got {low}, expected at most highest, {high}")
        return self


MAX_PATIENT_DAYS = 30_000_000


def check_care(care: Care | None, horizon: float, window: float) -> None:
    """Raise ValueError, naming the place, for care that does not fit horizon and window (days) of its scenario."""
    if care is None:
        return
    per_day = 1.0 / window
    if per_day < 1.0 - 1e-9 or abs(per_day - round(per_day)) > 1e-6 * per_day:
        raise ValueError(
            f"care: patients are looked at once a day, so window must be a whole part of a day, got {window:g} d: "
            "expected such as 1h, 6h or 1d"
        )
    if horizon < 1.0:
        raise ValueError(f"care: needs a horizon of at least 1d, got {horizon:g} d")
    if care.patients.number * horizon > MAX_PATIENT_DAYS:
        raise ValueError(
            f"care.patients.number: {care.patients.number:,} over {horizon:g} days are "
            f"{care.patients.number * horizon:,.0f} patient days, expected at most {MAX_PATIENT_DAYS:,}"
        )
