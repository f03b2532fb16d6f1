"""Billing periods, calendar ones too, and times as vendors write them. Pure."""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from typing import Literal
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from exporter.model import BillingPeriod

# Unix times from here on are milliseconds: as seconds it is the year 5138, as milliseconds March 1973.
_MILLISECONDS_FROM = 1e11
# 20261122 is a day; as Unix seconds, such numbers are of 1970.
_COMPACT_DAYS = range(1900_01_01, 2200_01_01)

LONGEST_PERIOD = timedelta(days=3_660)  # ten years and a bit
# A vendor may report the last period for a while after it ended, or the next one early. Once its own length again has
# passed, or a month, it is no billing period that counts now.
_FAR_AT_LEAST, _FAR_AT_MOST = timedelta(days=1), timedelta(days=31)


def from_unix(value: float) -> datetime:
    """The time in UTC, from Unix seconds or milliseconds, since vendors write both.

    Raises ValueError, OverflowError or OSError where there is no such time, as datetime.fromtimestamp does.
    """
    return datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS_FROM else value, UTC)


def parse_day(value: object) -> date | None:
    """The day that a text or number without a time means: 2026-11-22, 2026/11/22, 20261122; None for others."""
    if isinstance(value, int) and not isinstance(value, bool) and value in _COMPACT_DAYS:
        value = str(value)
    if isinstance(value, str) and (
        match := re.fullmatch(r"(\d{4})([-/]?)(\d\d)\2(\d\d)(?: ?(?:UTC|GMT|Z))?", value.strip())
    ):
        with suppress(ValueError):
            return date(int(match[1]), int(match[3]), int(match[4]))
    return None


def parse_time(value: object, zone: tzinfo) -> datetime | None:
    """A moment with an offset: the vendor's own where it writes one, else the zone's. None where it is no time.

    Read are ISO 8601 with its neighbours (`2026/11/22 10:00`, `2026-11-22 10:00 UTC`), RFC 2822 dates as HTTP and
    mail write them, days as their midnight, and Unix seconds or milliseconds. Dates whose order has to be guessed,
    such as 11/12/2026, are none.
    """
    day = parse_day(value)
    try:
        if day is not None:
            written_utc = isinstance(value, str) and value.strip().endswith(("UTC", "GMT", "Z"))
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC if written_utc else zone)
        elif isinstance(value, str):
            moment = _written(value.strip(), zone)
        elif isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            moment = from_unix(value)
        else:
            return None
        # Near the years 1 and 9999 a time may leave the calendar in another zone.
        for other in (UTC, zone):
            moment.astimezone(other)
    except (ValueError, OverflowError, OSError):
        return None
    return moment


def _written(text: str, zone: tzinfo) -> datetime:
    if text[:1].isalpha() or re.match(r"\d\d? [A-Za-z]", text):
        moment = parsedate_to_datetime(text)
        # -0000 is UTC, said by a system that does not know its place (RFC 2822, section 3.3).
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC if text.endswith("-0000") else zone)
    iso = re.sub(r"^(\d{4})/(\d\d)/(\d\d)", r"\1-\2-\3", text)
    if named := re.fullmatch(r"(.*\d) ?(?:UTC|GMT)", iso):
        iso = named[1] if re.search(r":\d\d.*[+-]\d\d:?\d\d$", named[1]) else f"{named[1]}Z"
    moment = datetime.fromisoformat(re.sub(r" (?=[+-]\d\d:?\d\d$)", "", iso))
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def after_last(value: object, moment: datetime) -> datetime:
    """The end of a period whose last day, or last moment, a vendor wrote: 23:59:59 ends it at 0:00.

    moment: what `parse_time` made of the value; a midnight stands for its day.
    """
    if moment.time().replace(tzinfo=None) == datetime.min.time():
        return moment + relativedelta(days=1)
    if isinstance(value, str) and re.search(r"[T ]\d\d:\d\d(?![\d:])", value):  # minutes without seconds
        return moment + timedelta(minutes=1)
    return moment.replace(microsecond=0) + timedelta(seconds=1)


def month_from(moment: datetime, months: int, zone: ZoneInfo, anchor_day: int = 1) -> datetime:
    """The moment so many calendar months after another, or before it.

    By the calendar of the zone or of the moment's own offset, whichever of them has its midnight there, since months
    begin at midnight. anchor_day: on which a month begins; a month too short for it begins on its last day.
    """
    local = moment.astimezone(zone)
    if moment.time() == datetime.min.time() and local.time() != datetime.min.time():
        local = moment
    is_last = (local + timedelta(days=1)).month != local.month
    day = anchor_day if is_last and anchor_day > local.day else None
    shifted: datetime = local + relativedelta(months=months, day=day)
    return shifted


# How vendors word a period's length; "month" and "year" are by the calendar, others by the clock, in seconds.
Length = float | Literal["month", "year"]
_LENGTHS: dict[str, Length] = {
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "week": 604_800,
    "month": "month",
    "year": "year",
}
_WORDS = {"daily": "day", "annual": "year", "annually": "year"}


def length_of(word: object) -> Length | None:
    """The length that a vendor's word means: monthly, MONTH, per day, weeks, annual…; None for others."""
    if not isinstance(word, str):
        return None
    plain = re.sub(r"^(per|every|1)[ _-]+", "", word.strip().lower())
    plain = _WORDS.get(plain, plain.removesuffix("ly").removesuffix("s"))
    return _LENGTHS.get(plain)


def shifted(moment: datetime, count: int, length: Length, zone: ZoneInfo, anchor_day: int = 1) -> datetime:
    """The moment so many lengths after another, or before it: months and years by the calendar."""
    if isinstance(length, str):
        return month_from(moment, count * (12 if length == "year" else 1), zone, anchor_day)
    return moment.astimezone(UTC) + count * timedelta(seconds=length)


def period_since(anchor: datetime, length: Length, zone: ZoneInfo, now: datetime) -> BillingPeriod:
    """The period that holds `now`, where periods of this length follow each other from a moment on, or up to it."""
    if isinstance(length, str):
        here, there = now.astimezone(zone), anchor.astimezone(zone)
        months = (here.year - there.year) * 12 + here.month - there.month
        count = months // 12 if length == "year" else months
    else:
        count = int((now - anchor) // timedelta(seconds=length))
    while shifted(anchor, count, length, zone) > now:
        count -= 1
    ends = (shifted(anchor, one, length, zone).astimezone(UTC) for one in (count, count + 1))
    return BillingPeriod(*ends)


def reads_as_last_day(start: datetime, end: datetime) -> bool:
    """Whether a period's end is rather its last day, as in 1 to 30 November, or 15 November to 14 December."""
    midnights = start.time() == end.time() == datetime.min.time()
    after = end + timedelta(days=1)
    return midnights and end > start and after.day == start.day and end.day != start.day


def credible_period(start: datetime, end: datetime, now: datetime) -> BillingPeriod:
    """The period between two moments. Raises ValueError where no billing period could be so, saying why."""
    period = BillingPeriod(start.astimezone(UTC), end.astimezone(UTC))
    length = period.end - period.start
    if length > LONGEST_PERIOD:
        years = length / timedelta(days=365.25)
        raise ValueError(f"{_dates(period)} is {years:.0f} years long, more than 10")
    far = min(max(length, _FAR_AT_LEAST), _FAR_AT_MOST)
    if now < period.start - far or now >= period.end + far:
        raise ValueError(f"{_dates(period)} is far from now, {now:%Y-%m-%d}")
    return period


def _dates(period: BillingPeriod) -> str:
    return f"the period from {period.start.isoformat()} to {period.end.isoformat()}"


def calendar_period(
    every: Literal["month", "week", "day", "hour", "none", "year"], anchor_day: int, zone: ZoneInfo, now: datetime
) -> BillingPeriod | None:
    """The period that holds `now`, by the zone's calendar; None for `none`.

    A month begins at 0:00 on anchor_day, or on the last day of a month that is shorter.
    """
    local = now.astimezone(zone)
    midnight = datetime(local.year, local.month, local.day, tzinfo=zone)
    match every:
        case "hour":
            start = local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
            return BillingPeriod(start, start + timedelta(hours=1))
        case "day":
            return BillingPeriod(midnight.astimezone(UTC), (midnight + relativedelta(days=1)).astimezone(UTC))
        case "week":
            monday = midnight - timedelta(days=local.weekday())
            return BillingPeriod(monday.astimezone(UTC), (monday + timedelta(days=7)).astimezone(UTC))
        case "month":
            # relativedelta(day=31) means the month's last day wherever it has no 31st.
            this = midnight + relativedelta(day=anchor_day)
            first = this if this <= local else midnight + relativedelta(months=-1, day=anchor_day)
            second = first + relativedelta(months=1, day=anchor_day)
            return BillingPeriod(first.astimezone(UTC), second.astimezone(UTC))
        case "year":
            january = midnight.replace(month=1, day=1)
            return BillingPeriod(january.astimezone(UTC), (january + relativedelta(years=1)).astimezone(UTC))
        case "none":
            return None
