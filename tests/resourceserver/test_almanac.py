from datetime import UTC, date, datetime, timedelta

import pytest

from resourceserver.almanac import julian_day, moon, page


@pytest.mark.parametrize(
    "moment",
    [
        "1999-08-11T11:09",
        "2000-01-06T18:14",
        "2017-08-21T18:30",
        "2024-04-08T18:21",
        "2026-08-12T17:37",
    ],
)
def test_the_moon_is_new_at_known_new_moons(moment: str) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert moon(at).phase == "new moon"
    assert moon(at).illuminated == 0.0
    assert moon(at + timedelta(hours=6)).age_days == pytest.approx(0.25, abs=0.2)


@pytest.mark.parametrize("moment", ["2000-01-21T04:40", "2025-03-14T06:55", "2025-09-07T18:09", "2026-03-03T11:38"])
def test_the_moon_is_full_at_known_full_moons(moment: str) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert (moon(at).phase, moon(at).illuminated) == ("full moon", 1.0)


def test_a_month_shows_all_phases_in_order() -> None:
    start = datetime(2024, 4, 8, 18, 21, tzinfo=UTC)
    seen: list[str] = []
    for hour in range(0, 29 * 24, 6):
        phase = moon(start + timedelta(hours=hour)).phase
        if not seen or seen[-1] != phase:
            seen.append(phase)
    assert seen[:8] == [
        "new moon",
        "waxing crescent",
        "first quarter",
        "waxing gibbous",
        "full moon",
        "waning gibbous",
        "last quarter",
        "waning crescent",
    ]


def test_week_and_year_follow_iso_8601() -> None:
    last = page(datetime(2024, 12, 31, 23, 59, tzinfo=UTC))
    assert (last.iso_week, last.day_of_year, last.days_left, last.leap_year) == ("2025-W01", 366, 0, True)
    first = page(datetime(2027, 1, 1, tzinfo=UTC))
    assert (first.iso_week, first.day_of_year, first.days_left, first.weekday) == ("2026-W53", 1, 364, "Friday")


def test_the_julian_day_is_counted_from_its_known_epoch() -> None:
    assert julian_day(date(2000, 1, 1)) == 2_451_545
    assert julian_day(date(1858, 11, 17)) == 2_400_001
