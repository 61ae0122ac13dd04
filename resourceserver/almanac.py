"""What a date means: ISO week, day of the year, the moon.

The moon follows the mean elongation with the largest periodic terms of J. Meeus, Astronomical Algorithms, chapters 47
and 48, good to a few hours of phase.
"""

import math
from calendar import isleap
from dataclasses import dataclass
from datetime import UTC, date, datetime

SYNODIC_MONTH = 29.530588853
J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)

_PHASES = (
    "new moon",
    "waxing crescent",
    "first quarter",
    "waxing gibbous",
    "full moon",
    "waning gibbous",
    "last quarter",
    "waning crescent",
)


@dataclass(frozen=True, slots=True)
class Moon:
    """The moon at one moment: name of the phase, days since new moon (mean), lit part of the disc from 0 to 1."""

    phase: str
    age_days: float
    illuminated: float


@dataclass(frozen=True, slots=True)
class Page:
    """One day of the almanac."""

    date: str
    weekday: str
    iso_week: str
    day_of_year: int
    days_left: int
    leap_year: bool
    julian_day: int
    moon: Moon


def page(moment: datetime) -> Page:
    """Return the page of the day (UTC) that holds `moment`, with the moon at `moment`."""
    day = moment.astimezone(UTC).date()
    week = day.isocalendar()
    number = day.timetuple().tm_yday
    return Page(
        date=day.isoformat(),
        weekday=day.strftime("%A"),
        iso_week=f"{week.year:04}-W{week.week:02}",
        day_of_year=number,
        days_left=(366 if isleap(day.year) else 365) - number,
        leap_year=isleap(day.year),
        julian_day=julian_day(day),
        moon=moon(moment),
    )


def julian_day(day: date) -> int:
    """Return the Julian day number of noon (UTC) on `day`."""
    return day.toordinal() + 1_721_425


def moon(moment: datetime) -> Moon:
    """Return the moon as seen from the centre of the earth at `moment`."""
    elongation = _elongation(moment)
    return Moon(
        phase=_PHASES[int((elongation + 22.5) // 45) % 8],
        age_days=round(elongation / 360 * SYNODIC_MONTH, 1),
        illuminated=round((1 - math.cos(math.radians(elongation))) / 2, 2),
    )


def _elongation(moment: datetime) -> float:
    """Return how far the moon is ahead of the sun, in degrees from 0 to 360."""
    centuries = (moment - J2000).total_seconds() / 86_400 / 36_525
    mean = 297.8501921 + 445_267.1114034 * centuries
    sun = math.radians(357.5291092 + 35_999.0502909 * centuries)
    moons = math.radians(134.9633964 + 477_198.8675055 * centuries)
    twice = math.radians(2 * mean)
    terms = (
        6.289 * math.sin(moons)
        - 2.100 * math.sin(sun)
        + 1.274 * math.sin(twice - moons)
        + 0.658 * math.sin(twice)
        + 0.214 * math.sin(2 * moons)
        + 0.110 * math.sin(math.radians(mean))
    )
    return (mean + terms) % 360
