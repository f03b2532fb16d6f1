"""Whether a count that a poll found is believed: growth, a correction, a new billing period, or held back. Pure.

A count grows until it starts again from 0. The count itself decides where one segment ends and the next begins; the
billing period only explains a fall, it never makes one. What nothing explains is suspect: it is held back for up to
an hour, in which the last trusted count stands, and then believed. Whatever is believed without proof leaves the
state before it behind, so that a count which comes back to where it was undoes it, days and all:

    seen                                              taken as
    more, or a little less                            growth, or a vendor's correction
    much less, in a period that the vendor says anew  a new segment, for good
    much less, near a period's boundary               a new segment, undone if the count comes back
    much less, else                                   suspect ("fall"), then a new segment or a correction
    very much more, over twice the limit              suspect ("jump"), then growth
    more, though the vendor says a new period         growth; or a new segment that is as large already, where the
                                                      counts before make that likely (a batch job each midnight)
    read by another mapping                           a new segment, without a difference to the one before

Times are Unix seconds.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from zoneinfo import ZoneInfo

from exporter.state.days import UNKNOWN, Tally, day_of, day_start
from exporter.state.points import DAY, HOUR, Point, Points

# A fall to less than this part of the last count is steep: no correction that is believed at once.
_STEEP_BELOW = 0.9
# A steep fall to less than this part of the last count begins a segment; to more than it is a correction.
_SEGMENT_BELOW = 0.5
# Suspect counts are held back for this long, and periods' boundaries explain falls as far from them, but never
# more than a quarter of the billing period.
_HOLD = HOUR
# Vendors set counts to 0 up to a day before or after the instant that they name: a sign-up hour, another time zone.
_RESET_SLACK = DAY
# An explanation that turns out to be wrong is undone for as long.
_UNDO_WITHIN = 2 * DAY
# A jump is steep from these on: times the last count, times the largest growth in an hour, times the limit.
_JUMP_COUNT, _JUMP_GROWTH, _JUMP_LIMIT = 10.0, 10.0, 2.0
_JUMP_COUNT_UNLIMITED = 1000.0
# A count is back where it was from this part of it on.
_BACK_FROM = 0.98
# So many times what was ever used in as long may be a burst.
_BURST = 20.0
# Over a longer gap before a new segment, what was used until the vendor's reset is anybody's guess.
_LONGEST_TAIL = 15 * 60
# A longer gap can hide a reset wherever no answered period speaks against it.
_LONGEST_GAP = 1.5 * HOUR
# Periods that are reported in seconds from now differ a little at each poll.
_SAME_PERIOD = 60.0
# A clock that was wrong by more is believed to be right again; less stands still until time has caught up.
_CLOCK_WAS_WRONG = DAY
# Points of a suspect hour that are kept until it is decided.
_MOST_HELD = 64
PAST_PERIODS = 13
# Of a past period's length, at its end: who missed more of it does not know what it came to.
LARGEST_GAP = 1 / 20


class Suspicion(StrEnum):
    """Why a count is held back: values of the `reason` label."""

    FALL = "fall"
    JUMP = "jump"


@dataclass(frozen=True, slots=True)
class Span:
    """start <= t < end."""

    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Seen:
    """What one poll found of one scope.

    answered: the billing period as the vendor gave it; configured: as the config's calendar has it.
    mapping: an id of what gives the count its meaning; another one begins a segment. "" is not known.
    limit: None is unlimited.
    """

    at: float
    count: float
    answered: Span | None = None
    configured: Span | None = None
    mapping: str = ""
    limit: float | None = None

    @property
    def period(self) -> Span | None:
        return self.answered or self.configured


@dataclass(frozen=True, slots=True)
class PastPeriod:
    """A segment that is over: from when until when it was counted, and what it came to.

    requests: the last count seen in it; what came after that poll is missing. seen_until: when that was; None where
    an earlier version wrote it down.
    """

    start: float
    end: float
    requests: float
    limit: float | None
    seen_until: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether little can be missing of it, as far as is known: of a month, its last 36 hours."""
        return self.seen_until is None or self.end - self.seen_until <= (self.end - self.start) * LARGEST_GAP


@dataclass(frozen=True, slots=True)
class Known:
    """A count up to its last trusted point, and what was derived on the way.

    began: from when the present segment counts, as well as that is known.
    answered: the period at the last point, as the vendor gave it.
    due: the start of an answered period in which the count has not started again yet; None where none is due.
    unseen: seconds before the present segment in which something may have been used that no poll saw, and whose pace
        the next point will show; 0 where there are none. unseen_pace: requests a second that they are in doubt by.
    rate: requests a second between the last two points.
    hour_at, hour_count: the point at which the present hour of `busiest` began.
    busiest: the largest growth within an hour, of the segment and, halved each time, of those before.
    early: the count at the end of the segment's first hour.
    tally: days; None where the vendor reports them itself.
    past: billing periods that are over, ascending, at most 13.
    """

    at: float
    count: float
    mapping: str
    began: float
    limit: float | None
    answered: Span | None
    due: float | None
    unseen: float
    unseen_pace: float
    rate: float
    hour_at: float
    hour_count: float
    busiest: float
    early: float
    tally: Tally | None
    past: tuple[PastPeriod, ...] = ()

    @property
    def pace(self) -> float:
        """The most that is likely now, in requests a second."""
        hour = self.at - self.hour_at
        return max(self.rate, (self.count - self.hour_count) / hour if hour > 0 else 0.0)

    def usual_in(self, seconds: float) -> float:
        """The most that was seen to be used in so long."""
        return max(self.busiest, self.count - self.hour_count) * max(1.0, seconds / HOUR)


@dataclass(frozen=True, slots=True)
class Held:
    """A suspect count. since: when it was first seen; known: what holds if it is believed; points: seen since."""

    reason: Suspicion
    since: float
    known: Known
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Open:
    """The vendor says a new period, and the count has not fallen. known: what holds if it had started again."""

    decided_at: float
    known: Known


@dataclass(frozen=True, slots=True)
class Undo:
    """What to go back to when something believed turns out to be wrong; forgotten at `until`.

    fell: whether the belief was in a fall, which is wrong when the count comes back up; else it was in a count that
        is too high, which is wrong when it comes back down.
    """

    known: Known
    fell: bool
    until: float


@dataclass(frozen=True, slots=True)
class Watched:
    """All that is known of one scope's count. `held` is what is suspect; the trusted count is `known.count`."""

    known: Known
    points: Points
    held: Held | None = None
    open: Open | None = None
    undo: Undo | None = None


def observe(watched: Watched | None, seen: Seen, zone: ZoneInfo, *, derive_days: bool = True) -> Watched:
    """What is known after a poll. derive_days: False where the vendor reports them."""
    if watched is None or watched.known.at - seen.at > _CLOCK_WAS_WRONG:
        return _first(watched.points.anew() if watched else Points(), seen, zone, derive_days=derive_days)
    known = watched.known
    if seen.at < known.at:  # a clock set back
        seen = replace(seen, at=known.at)
    if (known.tally is not None) is not derive_days:
        known = replace(known, tally=Tally(since=seen.at) if derive_days else None)
        watched = Watched(known, watched.points)
    if known.mapping and seen.mapping != known.mapping:
        return Watched(_begun(seen, zone, before=known), watched.points.anew().add(seen.at, seen.count))
    if watched.undo is not None and seen.at > watched.undo.until:
        watched = replace(watched, undo=None)
    if watched.held is not None:
        return _while_held(watched, watched.held, seen, zone)
    if watched.undo is not None and _is_back(watched.undo, known, seen):
        if watched.undo.fell and seen.count - known.count <= 2 * known.usual_in(seen.at - known.at):
            return _doubted(_taken_in(watched, seen, zone), watched.undo.known, seen, zone)
        return _came_back(_gone_back(watched, watched.undo.known, seen, zone), seen, zone)
    return _taken_in(watched, seen, zone)


def _gone_back(watched: Watched, before: Known, seen: Seen, zone: ZoneInfo) -> Watched:
    """What is known without what was believed since `before`: without its points, or with them taken otherwise."""
    if before.due is None:
        return Watched(before, watched.points.until(before.at))
    for at, count in watched.points.since(int(before.at) + 1):
        before = _grown(before, replace(seen, at=at, count=count), zone)
    return Watched(before, watched.points)


def _first(points: Points, seen: Seen, zone: ZoneInfo, *, derive_days: bool) -> Watched:
    known = _begun(seen, zone, derive_days=derive_days)
    watched = Watched(known, points.add(seen.at, seen.count))
    if known.tally is None or not known.tally.days or seen.answered is None:
        return watched
    # The whole count was taken for today's; a vendor that is late with its reset will show that it was not.
    partly = replace(known, due=known.began, tally=Tally(since=seen.at))
    return replace(watched, undo=Undo(partly, False, known.began + _slack(seen.answered)))


def _taken_in(watched: Watched, seen: Seen, zone: ZoneInfo) -> Watched:
    """A poll after a trusted one."""
    known = watched.known
    if seen.count >= known.count:
        if _is_jump(known, seen):
            return _suspected(watched, Suspicion.JUMP, seen, zone)
        if watched.open is not None or _new_due(known, seen) is not None:
            return _while_open(watched, seen, zone)
        if watched.undo is None and known.count and _is_sudden(known, seen):
            watched = replace(watched, undo=Undo(known, False, seen.at + _hold(seen)))
        return _with(watched, _grown(known, seen, zone), seen)
    due = _due(known, seen)
    if due is not None:
        return Watched(_restarted(known, seen, zone, start=due), watched.points.add(seen.at, seen.count))
    if seen.count >= _STEEP_BELOW * known.count or _is_moved(known, seen):
        return _with(watched, _corrected(known, seen, zone), seen)
    if seen.count < _SEGMENT_BELOW * known.count and _is_explained(known, seen):
        fallen = _restarted(known, seen, zone, start=known.answered.end if known.answered else None)
        until = seen.at + _hold(seen)
        return Watched(fallen, watched.points.add(seen.at, seen.count), undo=Undo(known, True, until))
    return _suspected(watched, Suspicion.FALL, seen, zone)


def _with(watched: Watched, known: Known, seen: Seen) -> Watched:
    return Watched(known, watched.points.add(seen.at, seen.count), undo=watched.undo)


# Suspect counts


def _suspected(watched: Watched, reason: Suspicion, seen: Seen, zone: ZoneInfo) -> Watched:
    believed = _departed(watched.known, reason, seen, zone)
    held = Held(reason, seen.at, believed, ((seen.at, seen.count),))
    return replace(watched, held=held)


def _departed(known: Known, reason: Suspicion, seen: Seen, zone: ZoneInfo) -> Known:
    """What holds if a suspect count is right."""
    if reason is Suspicion.JUMP:
        return _grown(known, seen, zone)
    if seen.count >= _SEGMENT_BELOW * known.count:
        return _corrected(known, seen, zone)
    # So large a count within one interval is likelier wrong, or a correction.
    doubt = seen.count if seen.count > (1 - _STEEP_BELOW) * known.count else 0.0
    return _restarted(known, seen, zone, doubt=doubt)


def _while_held(watched: Watched, held: Held, seen: Seen, zone: ZoneInfo) -> Watched:
    known = watched.known
    reason = _suspicion(known, seen)
    regrown = reason is None and _goes_on(held, seen)
    if reason is None and not regrown:
        return _came_back(replace(watched, held=None), seen, zone)
    if seen.count >= held.known.count and (regrown or reason is held.reason):
        believed = _grown(held.known, seen, zone)
    else:
        believed = _departed(known, reason or held.reason, seen, zone)
    points = (*held.points[:_MOST_HELD], (seen.at, seen.count))
    if reason not in (held.reason, None):
        held = Held(held.reason, seen.at, believed, ())
        points = points[-1:]
    held = Held(reason or held.reason, held.since, believed, points)
    due = held.reason is Suspicion.FALL and _due(known, seen) is not None
    if regrown or due or seen.at - held.since >= _hold(seen):
        return _believed(watched, held, seen, for_good=regrown)
    return replace(watched, held=held)


def _believed(watched: Watched, held: Held, seen: Seen, *, for_good: bool) -> Watched:
    points = watched.points
    for at, count in held.points:
        points = points.add(at, count)
    undo = Undo(watched.known, held.reason is Suspicion.FALL, seen.at + _UNDO_WITHIN)
    return Watched(held.known, points, undo=None if for_good else undo)


def _suspicion(known: Known, seen: Seen) -> Suspicion | None:
    if seen.count >= known.count:
        return Suspicion.JUMP if _is_jump(known, seen) else None
    if seen.count >= _STEEP_BELOW * known.count or _is_moved(known, seen):
        return None
    return Suspicion.FALL


def _goes_on(held: Held, seen: Seen) -> bool:
    """Whether a count that fell has grown by steps to where it is now, rather than come back at once."""
    grown = held.known.count - held.points[0][1]
    return held.reason is Suspicion.FALL and grown > 0 and 0 <= seen.count - held.known.count <= 2 * grown


def _came_back(watched: Watched, seen: Seen, zone: ZoneInfo) -> Watched:
    """It was a glitch; but where the count may have started again and been brought up to here, it is in doubt."""
    after = _taken_in(watched, seen, zone)
    before = watched.known
    same_period = before.answered is not None and before.due is None and _new_due(before, seen) is None
    sure = same_period or seen.count > _BURST * before.usual_in(seen.at - before.at)
    return after if sure else _doubted(after, before, seen, zone)


def _doubted(after: Watched, before: Known, seen: Seen, zone: ZoneInfo) -> Watched:
    """With the days since `before` in doubt by the whole count: it may be new, or what it was."""
    if after.known.tally is None:
        return after
    tally = after.known.tally.doubt(seen.count, before.at, seen.at, zone)
    return replace(after, known=replace(after.known, tally=tally))


def _is_jump(known: Known, seen: Seen) -> bool:
    if not _is_sudden(known, seen):
        return False
    if seen.limit is None:
        return 0 < _JUMP_COUNT_UNLIMITED * known.count < seen.count
    return seen.count > max(_JUMP_LIMIT * seen.limit, _JUMP_COUNT * known.count)


def _is_sudden(known: Known, seen: Seen) -> bool:
    return seen.count - known.count > _JUMP_GROWTH * known.usual_in(seen.at - known.at)


# What was believed and is not any more


def _is_back(undo: Undo, known: Known, seen: Seen) -> bool:
    """Whether the count has come back, at once, to where it was before something that was believed."""
    before = undo.known
    more = 0.1 * before.count + 2 * before.usual_in(seen.at - before.at)
    if undo.fell:
        is_back = _BACK_FROM * before.count <= seen.count <= before.count + more
        return is_back and seen.count - known.count > before.count / 2
    if seen.count >= _STEEP_BELOW * known.count or _new_due(known, seen) is not None:
        return False
    if before.due is not None:
        return _due(before, seen) is not None
    return before.count <= seen.count <= before.count + more


# Periods


def _hold(seen: Seen) -> float:
    return _HOLD if seen.period is None else min(_HOLD, seen.period.length / 4)


def _slack(period: Span) -> float:
    return min(_RESET_SLACK, period.length / 2)


def _new_due(known: Known, seen: Seen) -> float | None:
    """The start of a period that the vendor says for the first time, if the segment is of one before it."""
    old, new = known.answered, seen.answered
    if old is None or new is None or new.start < old.end - _SAME_PERIOD:
        return None  # an overlapping one is a moving window, or a plan's change
    return new.start if known.began < new.start - _slack(new) else None


def _due(known: Known, seen: Seen) -> float | None:
    """The start of an answered period in which the count must still start again; None where it has, or need not."""
    new = _new_due(known, seen)
    if new is not None or known.due is None or seen.answered is None:
        return new
    return known.due if seen.at - known.due <= _slack(seen.answered) else None


def _is_moved(known: Known, seen: Seen) -> bool:
    """Whether a fall is that of a window which moves with time."""
    old, new = known.answered, seen.answered
    if old is None or new is None or seen.count < _SEGMENT_BELOW * known.count:
        return False
    return new.start - old.start >= _SAME_PERIOD and new.start < old.end - _SAME_PERIOD


def _is_explained(known: Known, seen: Seen) -> bool:
    """Whether a period's boundary is near, or the vendor says another period than before."""
    old, new = known.answered, seen.answered
    if old is not None and new is not None and abs(new.start - old.start) >= _SAME_PERIOD:
        return True
    near = _hold(seen)
    periods = (old,) if old is not None else (seen.configured,)
    bounds = (bound for period in periods if period is not None for bound in (period.start, period.end))
    # The one that the present segment began with has been used up.
    return any(known.at - near <= bound <= seen.at + near for bound in bounds if abs(bound - known.began) > near)


def _while_open(watched: Watched, seen: Seen, zone: ZoneInfo) -> Watched:
    """The vendor says a new period, and the count has not fallen: whose it is shows within an hour at most."""
    known, opened = watched.known, watched.open
    new = _new_due(known, seen)
    grown = _grown(known, seen, zone)
    if new is not None or opened is None:
        start = new if new is not None else known.at
        decided_at = start + _hold(seen)
        opened = Open(decided_at, _restarted(known, seen, zone, start=start))
        grown = replace(grown, due=start)
    else:
        opened = Open(opened.decided_at, _grown(opened.known, seen, zone))
    after = Watched(grown, watched.points.add(seen.at, seen.count), undo=watched.undo)
    if seen.at < opened.decided_at:
        return replace(after, open=opened)
    if not _can_be_new(known, opened.known, seen):
        sure = seen.count > _BURST * known.usual_in(seen.at - opened.known.began)
        return after if sure else _doubted(after, known, seen, zone)
    undo = Undo(grown, False, opened.known.began + (_slack(seen.answered) if seen.answered else 0.0))
    return Watched(opened.known, after.points, undo=undo)


def _can_be_new(old: Known, new: Known, seen: Seen) -> bool:
    """Whether a count can have grown to where it is since the period began: as the one before did from its start, or
    because it must have grown by nearly as much in any case."""
    likely = 1.5 * old.early * max(1.0, (seen.at - new.began) / _hold(seen))
    return seen.count <= max(likely, 2 * (seen.count - old.count))


# What a count makes known


def _begun(seen: Seen, zone: ZoneInfo, *, before: Known | None = None, derive_days: bool = True) -> Known:
    """The first point, or the first by another mapping.

    It says nothing of the days before, and of its own only where the vendor's period began with this very day.
    """
    period = seen.answered
    start = period.start if period is not None and period.start <= seen.at else None
    today = day_start(day_of(seen.at, zone), zone)
    tally = before.tally if before is not None else (Tally(since=seen.at) if derive_days else None)
    if before is not None and tally is not None:
        tally = replace(tally.doubt(UNKNOWN, before.at, seen.at, zone), since=seen.at, opened=0.0, closed=0.0)
    elif tally is not None and start == today:
        tally = Tally(since=today).add(seen.count, today, seen.at, zone)
    age = seen.at - start if start is not None else 0.0
    return Known(
        at=seen.at,
        count=seen.count,
        mapping=seen.mapping,
        began=start if start is not None else seen.at,
        limit=seen.limit,
        answered=period,
        due=None,
        unseen=0.0,
        unseen_pace=0.0,
        rate=seen.count / age if age else 0.0,
        hour_at=seen.at,
        hour_count=seen.count,
        busiest=seen.count / max(1.0, age / HOUR) if start is not None else 0.0,
        early=seen.count if start is not None and age <= _hold(seen) else 0.0,
        tally=tally,
        past=before.past if before is not None else (),
    )


def _grown(known: Known, seen: Seen, zone: ZoneInfo) -> Known:
    """After a count that is no smaller than the last."""
    gap = seen.at - known.at
    used = seen.count - known.count
    tally = known.tally
    if tally is not None:
        tally = tally.add(used, known.at, seen.at, zone, _doubt_of_gap(known, seen))
        if known.unseen and used:  # it may have been used up as fast as now
            faster = max(0.0, used / gap - known.unseen_pace)
            tally = tally.doubt(faster * known.unseen, known.began, known.began + known.unseen, zone)
        elif known.unseen and known.unseen < _hold(seen):  # a wrong 0, with the reset only after it
            tally = tally.doubt(known.unseen_pace * gap, known.at, seen.at, zone)
    hour_at, hour_count, busiest = known.hour_at, known.hour_count, known.busiest
    if seen.at - hour_at >= min(HOUR, _hold(seen)):
        busiest = max(busiest, (seen.count - hour_count) / max(1.0, (seen.at - hour_at) / HOUR))
        hour_at, hour_count = seen.at, seen.count
    return Known(
        at=seen.at,
        count=seen.count,
        mapping=seen.mapping,
        began=known.began,
        limit=seen.limit,
        answered=seen.answered,
        due=known.due,
        unseen=0.0 if used else known.unseen and known.unseen + gap,
        unseen_pace=known.unseen_pace,
        rate=used / gap if gap else known.rate,
        hour_at=hour_at,
        hour_count=hour_count,
        busiest=busiest,
        early=seen.count if seen.at - known.began <= _hold(seen) else known.early,
        tally=tally,
        past=known.past,
    )


def _doubt_of_gap(known: Known, seen: Seen) -> float:
    """UNKNOWN where between two polls the count may have started again and grown to where it is."""
    gap = seen.at - known.at
    if gap <= _LONGEST_TAIL:
        return 0.0
    if known.answered is not None and seen.answered is not None:
        return UNKNOWN if seen.answered.start >= known.answered.end - _SAME_PERIOD else 0.0
    likely = max(_BURST * known.usual_in(gap), 3 * abs(seen.count - known.count))
    return UNKNOWN if gap > _LONGEST_GAP or seen.count <= likely else 0.0


def _corrected(known: Known, seen: Seen, zone: ZoneInfo) -> Known:
    """After a count that the vendor has made smaller."""
    less = known.count - seen.count
    tally = known.tally
    if tally is not None:
        # Growth that the correction hides was as fast as before, or as large as the correction.
        hidden = less + known.pace * (seen.at - known.at)
        tally = tally.add(0.0, known.at, seen.at, zone, _doubt_of_gap(known, seen) + hidden).take_off(less)
    return replace(
        known,
        at=seen.at,
        count=seen.count,
        limit=seen.limit,
        answered=seen.answered,
        rate=0.0,
        hour_count=min(known.hour_count, seen.count),
        tally=tally,
    )


def _restarted(known: Known, seen: Seen, zone: ZoneInfo, *, start: float | None = None, doubt: float = 0.0) -> Known:
    """After a count that has started again from 0. start: when, if it is known."""
    exact = start is not None and known.at < start <= seen.at
    began = start if exact and start is not None else known.at
    gap = seen.at - known.at
    tail = (began if exact else seen.at) - known.at
    pace = known.pace if exact or not gap else max(known.pace, seen.count / gap)
    tally = known.tally
    if tally is not None:
        tally = tally.add(seen.count, began, seen.at, zone, doubt)
        if tail > _LONGEST_TAIL:
            tally = tally.doubt(UNKNOWN, known.at, began if exact else seen.at, zone)
        else:  # vendors reset minutes after the instant that they name
            tally = tally.doubt(pace * gap, known.at, seen.at, zone)
    answered = known.answered
    # A count may begin again within the vendor's period: then its first part has that start already.
    is_first = not known.past or answered is None or known.past[-1].start < answered.start
    start_of_it = answered.start if answered is not None and is_first else known.began
    ended = PastPeriod(start_of_it, began, known.count, known.limit, known.at)
    return Known(
        at=seen.at,
        count=seen.count,
        mapping=seen.mapping,
        began=began,
        limit=seen.limit,
        answered=seen.answered,
        due=None,
        unseen=gap if gap > _LONGEST_TAIL or not exact else 0.0,
        unseen_pace=pace,
        rate=seen.count / (seen.at - began) if seen.at > began else 0.0,
        hour_at=began,
        hour_count=0.0,
        busiest=max(known.busiest, known.count - known.hour_count) / 2,
        early=seen.count if seen.at - began <= _hold(seen) else 0.0,
        tally=tally,
        past=(*known.past, ended)[-PAST_PERIODS:],
    )
