"""What the dashboards ask, derived inline: right without recording rules, and with any number of replicas.

Everything is worked out per target, where the exporter's series match one another label for label, and the replicas
are aggregated away last. Values that are no numbers (unlimited, not known) are marks, which panels show as
words: `Mark` is their one home.
"""

from exporter.metrics import (
    COUNTED_IN,
    DAILY,
    DATE,
    DAYS_NEAR_LIMIT,
    DIRECTION,
    ESTIMATE,
    FORECAST_LIMIT_REACHED,
    FORECAST_PROBABILITY,
    FORECAST_REQUESTS,
    LAST_RENDER_TIME,
    LAST_SUCCESS,
    LIMIT,
    LIMIT_CHANGED,
    LIMIT_SHORTFALL,
    PACE,
    PERIOD_END,
    PERIOD_START,
    POLL_INTERVAL,
    PREVIOUS,
    RATE_LIMIT,
    READ_TIME,
    REQUESTS,
    SCOPE,
    SCOPE_INFO,
    STALE,
    TERM,
    WINDOW,
    Metric,
)
from exporter.thresholds import CLOCK_AHEAD_SECONDS, RATIO_DECIMALS

from .promql import (
    DAY_KEYS,
    ORGANISATION_KEYS,
    SCOPE_KEYS,
    TARGET_KEYS,
    Selection,
    aggregate,
    different,
    equal,
    first_of,
    mark,
    select,
    several,
)

# Over this window requests are averaged to a rate, as in the alert on it.
RATE_WINDOW = "1h"
# A rate needs several polls in the window: three.
RATE_MAX_POLL_INTERVAL_SECONDS = 1200
DAY_SECONDS = 86_400


class Mark:
    """Values that stand for words. Below 0 where numbers are counts or percentages."""

    UNLIMITED = -1
    LIMIT_ZERO = -2
    NO_DATA = -3
    NOT_KNOWN = -4
    NONE = -5
    # A percentage of a limit of 0 that has been used; so large that the bar is full.
    INFINITE = 1e9
    # In place of a time in milliseconds.
    NOT_IN_PERIOD = 0
    REACHED = 1
    TIME_UNLIMITED = 2
    TIME_NOT_KNOWN = 3
    TIME_LIMIT_ZERO = 4


def _newest(where: Selection, query: str, *, besides: str = "") -> str:
    """Of what is known per target, what the replica that read the scope last says: a series for each scope.

    A replica that cannot poll keeps its last values for as long as their period lasts: the largest of all would hide
    a raised limit or a correction. Of replicas that do not publish when they read, that with the highest usage.
    besides: a label that the query has and a scope has not.
    """
    read = first_of(_read_by_our_clock(where), select(READ_TIME, where), f"1e-15 * {select(REQUESTS, where)}")
    last = f"topk by ({', '.join(several(SCOPE_KEYS, where))}) (1, {read})"
    matching = f"ignoring ({besides}) " if besides else ""
    return f"({query}) and {matching}{last}"


def by_scope(where: Selection, query: str, *, besides: str = "") -> str:
    """The same, without the replica's labels."""
    return aggregate("max", SCOPE_KEYS, _newest(where, query, besides=besides))


def _read_by_our_clock(where: Selection) -> str:
    """When replicas whose clock is ahead read a scope, by the clock of Prometheus."""
    target = ", ".join(TARGET_KEYS)
    rendered = select(LAST_RENDER_TIME)
    ahead = aggregate("max", TARGET_KEYS, f"{rendered} - timestamp({rendered}) > {CLOCK_AHEAD_SECONDS}")
    return f"{select(READ_TIME, where)} - on ({target}) group_left () {ahead}"


def _most(query: str) -> str:
    """The largest of all replicas: of what was counted over time, and one that has just begun counted little of."""
    return aggregate("max", SCOPE_KEYS, query)


def terms_changed(where: Selection) -> str:
    """When vendors last changed limits and plans, in Unix milliseconds: by term, with what it was before."""
    keys = (*SCOPE_KEYS, TERM, DIRECTION, PREVIOUS)
    return f"{aggregate('max', keys, select(LIMIT_CHANGED, where))} * 1000"


def requests(where: Selection) -> str:
    return by_scope(where, select(REQUESTS, where))


def limit(where: Selection) -> str:
    return by_scope(where, first_of(select(LIMIT, where), mark(select(REQUESTS, where), Mark.UNLIMITED)))


def limit_share(where: Selection, ratio: float) -> str:
    """So many requests are `ratio` of the limit."""
    return by_scope(where, f"{ratio:g} * {select(LIMIT, where)}" if ratio != 1 else select(LIMIT, where))


def rate_limit(where: Selection) -> str:
    return by_scope(where, first_of(select(RATE_LIMIT, where), mark(select(REQUESTS, where), Mark.NONE)))


def used_percent(where: Selection) -> str:
    """Percent of the limit, or a mark: UNLIMITED, LIMIT_ZERO, INFINITE."""
    percent = f"{_percent_of_limit(where)} >= 0"
    return by_scope(where, first_of(percent, _limit_zero(where), mark(select(REQUESTS, where), Mark.UNLIMITED)))


def scopes_used(where: Selection, condition: str) -> str:
    """A series for each scope that has used so much of its limit, in percent: such as `> 90`."""
    return f"({_newest(where, _percent_of_limit(where))}) {condition}"


def scopes_unlimited(where: Selection) -> str:
    """A series for each scope without a limit."""
    return _newest(where, f"{select(REQUESTS, where)} unless {select(LIMIT, where)}")


def _percent_of_limit(where: Selection) -> str:
    return _percent(select(REQUESTS, where), select(LIMIT, where))


def _percent(part: str, whole: str) -> str:
    """A quotient in percent, at most INFINITE, without the error of its floats: exporter.thresholds.clean_ratio.

    Bounded before it is rounded, since VictoriaMetrics rounds infinity to nothing.
    """
    ratio = f"clamp_max({part} / {whole}, {Mark.INFINITE / 100:g})"
    return f"round(1e{RATIO_DECIMALS} * {ratio}) / 1e{RATIO_DECIMALS - 2}"


def _unlimited(where: Selection) -> str:
    return mark(f"{select(REQUESTS, where)} unless {select(LIMIT, where)}", Mark.UNLIMITED)


def _limit_zero(where: Selection) -> str:
    return f"({select(LIMIT, where)} == 0) - {-Mark.LIMIT_ZERO}"


def period_ends_at(where: Selection) -> str:
    """When the billing period ends, in milliseconds."""
    return by_scope(where, f"1000 * {select(PERIOD_END, where)}")


def _length(where: Selection) -> str:
    return f"({select(PERIOD_END, where)} - {select(PERIOD_START, where)})"


def _estimate(metric: Metric, where: Selection, estimate: str) -> str:
    return f"max without ({ESTIMATE}) ({select(metric, {**where, ESTIMATE: equal(estimate)})})"


def forecast(where: Selection, estimate: str) -> str:
    """Requests at the period's end; NOT_KNOWN."""
    known = _estimate(FORECAST_REQUESTS, where, estimate)
    return by_scope(where, first_of(known, mark(select(REQUESTS, where), Mark.NOT_KNOWN)))


def forecast_within(where: Selection) -> str:
    """The likely requests at the period's end, where these are no more than the limit; NOT_KNOWN."""
    middle = _estimate(FORECAST_REQUESTS, where, "middle")
    fits, boundless = f"{middle} <= {select(LIMIT, where)}", f"{middle} unless {select(LIMIT, where)}"
    not_known = mark(f"{select(REQUESTS, where)} unless {middle}", Mark.NOT_KNOWN)
    return by_scope(where, first_of(fits, boundless, not_known))


def forecast_over(where: Selection) -> str:
    """As forecast_within, where they are more than the limit."""
    return by_scope(where, f"{_estimate(FORECAST_REQUESTS, where, 'middle')} > {select(LIMIT, where)}")


def over_limit_percent(where: Selection) -> str:
    """How likely the limit is reached before the period ends, in percent; UNLIMITED, LIMIT_ZERO, NOT_KNOWN."""
    return by_scope(
        where,
        first_of(
            f"100 * {select(FORECAST_PROBABILITY, where)}",
            _limit_zero(where),
            mark(select(LIMIT, where), Mark.NOT_KNOWN),
            mark(select(REQUESTS, where), Mark.UNLIMITED),
        ),
    )


def reached_at(where: Selection, estimate: str) -> str:
    """When the limit is reached, in milliseconds, or a mark that stands for a time."""
    used, most = select(REQUESTS, where), select(LIMIT, where)
    return by_scope(
        where,
        first_of(
            mark(f"{used} >= ({most} > 0)", Mark.REACHED),
            f"({most} == 0) + {Mark.TIME_LIMIT_ZERO}",
            f"1000 * {_estimate(FORECAST_LIMIT_REACHED, where, estimate)}",
            mark(select(FORECAST_PROBABILITY, where), Mark.NOT_IN_PERIOD),
            mark(most, Mark.TIME_NOT_KNOWN),
            mark(used, Mark.TIME_UNLIMITED),
        ),
    )


def pace(where: Selection, window: str) -> str:
    """Requests a minute over the window: recent, 1h, 1d, 7d."""
    return by_scope(where, select(PACE, {**where, WINDOW: equal(window)}), besides=WINDOW)


def even_pace(where: Selection) -> str:
    """Requests made by then if the limit were used evenly over the period."""
    passed = f"(time() - {select(PERIOD_START, where)})"
    return by_scope(where, f"{select(LIMIT, where)} * {passed} / {_length(where)}")


def _request_rate(where: Selection) -> str:
    # Not rate(): the gauge falls on corrections, and jumps after a poll outage; this is right through both.
    made = f"clamp_min(delta({select(REQUESTS, where, window=RATE_WINDOW)}), 0)"
    seconds = f"delta({select(LAST_SUCCESS, where, window=RATE_WINDOW)})"
    same_period = f"changes({select(PERIOD_START, where, window=RATE_WINDOW)}) == 0"
    polled_often = f"{select(POLL_INTERVAL, where)} <= {RATE_MAX_POLL_INTERVAL_SECONDS}"
    rate = f"60 * {made} / ignoring ({SCOPE}) group_left () ({seconds} > 0)"
    return f"({rate} and {same_period} and ignoring ({SCOPE}) {polled_often})"


def request_rate(where: Selection) -> str:
    """Requests a minute, averaged over RATE_WINDOW."""
    return _most(_request_rate(where))


def rate_limit_percent(where: Selection) -> str:
    """The averaged request rate in percent of the rate limit."""
    return _most(_percent(_request_rate(where), select(RATE_LIMIT, where)))


def daily_total(where: Selection) -> str:
    """By date, over scopes; without what is counted in another scope."""
    each = aggregate("max", several(DAY_KEYS, where), select(DAILY, where))
    keys = ", ".join(several(SCOPE_KEYS, where))
    twice = select(SCOPE_INFO, {**where, COUNTED_IN: different("")})
    return aggregate("sum", (DATE,), f"{each} unless on ({keys}) {twice}")


def daily_by_scope(where: Selection) -> str:
    return aggregate("max", DAY_KEYS, select(DAILY, where))


def _even_day(where: Selection) -> str:
    """Requests a day that use the limit evenly; none for a limit of 0."""
    return f"({select(LIMIT, where)} > 0) / ({_length(where)} / {DAY_SECONDS})"


def even_day(where: Selection) -> str:
    return by_scope(where, first_of(_even_day(where), _unlimited(where), _limit_zero(where)))


def average_day(where: Selection) -> str:
    return _most(f"avg without ({DATE}) ({select(DAILY, where)})")


def days_near(where: Selection) -> str:
    """Of the last 30 days, how many used NEAR_LIMIT_RATIO or more of an even share of the limit."""
    known = select(DAYS_NEAR_LIMIT, where)
    return by_scope(where, first_of(known, _unlimited(where), _limit_zero(where)))


def scopes_short(where: Selection) -> str:
    """How many scopes of an organisation need more than their limits."""
    return first_of(_short(where), mark(aggregate("count", ORGANISATION_KEYS, select(REQUESTS, where)), 0))


def _short(where: Selection) -> str:
    return aggregate("count", ORGANISATION_KEYS, _newest(where, select(LIMIT_SHORTFALL, where)))


def advice(where: Selection, whole_organisation: Selection) -> str:
    """By scope: 0 where its plan fits, else 1 for an add-on, 2 for part of a plan upgrade; UNLIMITED."""
    short = mark(by_scope(where, select(LIMIT_SHORTFALL, where)), 1)
    keys = ", ".join(several(ORGANISATION_KEYS, where))
    how_many = f"clamp_max({_short(whole_organisation)}, 2)"
    fits = mark(select(LIMIT, where), 0)
    others = first_of(_limit_zero(where), fits, mark(select(REQUESTS, where), Mark.UNLIMITED))
    return first_of(f"({short}) * on ({keys}) group_left () {how_many}", by_scope(where, others))


def stale_since(where: Selection) -> str:
    """By organisation: 0 where its data is fresh in any replica, else when it was last read, in milliseconds."""
    fresh = f"{select(STALE, where)} == 0"
    last = f"1000 * {select(LAST_SUCCESS, where)}"
    return aggregate("min", ORGANISATION_KEYS, first_of(fresh, last))


def last_success_at(where: Selection) -> str:
    """By organisation: when a poll last brought data, in milliseconds."""
    return aggregate("max", ORGANISATION_KEYS, f"1000 * {select(LAST_SUCCESS, where)}")


def data_age(where: Selection) -> str:
    """By scope: whole seconds since it was read, or its organisation where that is not published."""
    last = f"{select(REQUESTS, where)} * 0 + ignoring ({SCOPE}) group_left () {select(LAST_SUCCESS, where)}"
    return f"floor(time() - {by_scope(where, first_of(select(READ_TIME, where), last))})"


def without_scopes(where: Selection) -> str:
    """Organisations that are polled and have no scope to show, each with the mark NO_DATA."""
    keys = ", ".join(several(ORGANISATION_KEYS, where))
    polled = aggregate("max", ORGANISATION_KEYS, select(POLL_INTERVAL, where))
    return mark(f"{polled} unless on ({keys}) {select(REQUESTS, where)}", Mark.NO_DATA)


def count_of(query: str, where: Selection, of: Metric = REQUESTS) -> str:
    """How many series the query has; 0 if none, but nothing where there is nothing of a metric."""
    return first_of(f"count({query})", mark(f"count({select(of, where)})", 0))
