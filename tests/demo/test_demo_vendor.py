"""The demo vendor over real HTTP, with a clock that the tests turn."""

import calendar
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
import requests
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.serving import make_server

from exporter.demo.accounts import ACCOUNTS, OrganisationAccount, ScopeAccount
from exporter.demo.faults import Faults
from exporter.demo.meter import Accepted, Meter, RecordPoint
from exporter.demo.traffic import Traffic
from exporter.demo.vendor import DEMO_TOKEN, create_app
from exporter.thresholds import Band, Bands

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BEARER = {"Authorization": f"Bearer {DEMO_TOKEN}"}
TIMEOUT = 5

SMALL = OrganisationAccount(
    "small",
    "Small",
    (
        ScopeAccount("hard", "Hard", "P", limit=1_000, used=997, rate_limit_per_minute=None),
        ScopeAccount("soft", "Soft", "P", limit=1_000, used=999, rate_limit_per_minute=None, hard_limit=False),
        ScopeAccount("rated", "Rated", "P", limit=None, used=50, rate_limit_per_minute=3, rejected=7),
        ScopeAccount("new", "New", "P", limit=10, used=0, rate_limit_per_minute=None, has_history=False),
        ScopeAccount("nothing", "Nothing", "P", limit=0, used=0, rate_limit_per_minute=None),
    ),
)

# Where calendars go wrong: first and last days, short and leap Februaries, years' ends, midnights.
AWKWARD_TIMES = (
    datetime(2026, 11, 1, 0, 0, tzinfo=UTC),
    datetime(2026, 11, 1, 0, 0, 1, tzinfo=UTC),
    datetime(2026, 12, 1, 9, 30, tzinfo=UTC),
    datetime(2026, 11, 2, 0, 0, tzinfo=UTC),
    datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC),
    datetime(2028, 2, 29, 12, 0, tzinfo=UTC),
    datetime(2026, 3, 1, 6, 0, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2027, 1, 1, 0, 0, tzinfo=UTC),
    datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
)
times = st.datetimes(datetime(2024, 1, 1), datetime(2032, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


class TurnableClock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def turn(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass(frozen=True)
class Vendor:
    url: str
    clock: TurnableClock
    meter: Meter
    faults: Faults

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers=BEARER | headers, timeout=TIMEOUT)

    def post(self, path: str, body: object) -> requests.Response:
        return requests.post(self.url + path, json=body, timeout=TIMEOUT)

    def usage(self, organisation: str = "small", **headers: str) -> requests.Response:
        return self.get(f"/v1/organisations/{organisation}/usage", **headers)

    def scope(self, scope: str, organisation: str = "small") -> dict[str, Any]:
        payload = self.usage(organisation).json()
        found: dict[str, Any] = next(one for one in payload["scopes"] if one["id"] == scope)
        return found


class Server:
    def __init__(self, app: Flask) -> None:
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    clock = TurnableClock(NOON)
    accounts = (*ACCOUNTS, SMALL)
    meter = Meter(accounts, clock=clock)
    faults = Faults([one.id for one in accounts], slow_seconds=30)
    with Server(create_app(meter, faults)) as server:
        yield Vendor(server.url, clock, meter, faults)
        faults.close()


def requests_on(scope: dict[str, Any], day: str) -> int:
    by_date: dict[str, int] = {entry["date"]: entry["requests"] for entry in scope["daily"]}
    return by_date[day]


# --- metering


def test_a_call_counts_for_the_period_and_the_day(vendor: Vendor) -> None:
    before = vendor.scope("soft")
    answers = [vendor.get("/v1/small/soft") for _ in range(3)]
    after = vendor.scope("soft")
    assert [answer.json() for answer in answers] == [{"ok": True}] * 3
    assert after["requests"] == before["requests"] + 3
    assert requests_on(after, "2026-11-22") == requests_on(before, "2026-11-22") + 3
    assert after["daily"][:-1] == before["daily"][:-1]


def test_a_day_turns_at_midnight_utc_and_the_period_goes_on(vendor: Vendor) -> None:
    vendor.clock.at = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
    vendor.get("/v1/small/soft")
    first = vendor.scope("soft")
    vendor.clock.turn(seconds=1)
    vendor.get("/v1/small/soft")
    second = vendor.scope("soft")
    assert second["requests"] == first["requests"] + 1
    assert requests_on(second, "2026-11-23") == 1
    assert requests_on(second, "2026-11-22") == requests_on(first, "2026-11-22")


def test_concurrent_calls_are_all_counted(vendor: Vendor) -> None:
    before = vendor.scope("soft")["requests"]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: vendor.get("/v1/small/soft").status_code, range(80)))
    assert statuses == [200] * 80
    assert vendor.scope("soft")["requests"] == before + 80


def test_a_new_account_has_no_history_until_its_first_call(vendor: Vendor) -> None:
    assert vendor.scope("new")["daily"] == []
    vendor.clock.turn(days=2)
    assert vendor.scope("new")["daily"] == []
    vendor.get("/v1/small/new")
    vendor.clock.turn(days=1)
    assert vendor.scope("new")["daily"] == [
        {"date": "2026-11-24", "requests": 1},
        {"date": "2026-11-25", "requests": 0},
    ]


def test_the_history_never_shows_more_than_30_days(vendor: Vendor) -> None:
    for _ in range(100):
        vendor.meter.request("small", "rated")
        vendor.clock.turn(days=1)
    daily = vendor.scope("rated")["daily"]
    assert len(daily) == 30
    assert daily[-1] == {"date": "2027-03-02", "requests": 0}
    assert all(entry["requests"] == 1 for entry in daily[:-1])


# --- limits


def test_over_the_rate_limit_is_a_429_until_the_next_minute(vendor: Vendor) -> None:
    vendor.clock.at = NOON + timedelta(seconds=17.5)
    before = vendor.scope("rated")
    statuses = [vendor.get("/v1/small/rated").status_code for _ in range(5)]
    refused = vendor.get("/v1/small/rated")
    after = vendor.scope("rated")
    assert statuses == [200, 200, 200, 429, 429]
    assert refused.headers["Retry-After"] == "43"
    assert refused.json()["error"] == "rate_limited"
    assert after["requests"] == before["requests"] + 3
    assert after["rejected"] == before["rejected"] + 3 == 10

    vendor.clock.turn(seconds=int(refused.headers["Retry-After"]))
    assert vendor.get("/v1/small/rated").status_code == 200


@pytest.mark.parametrize(("second", "retry_after"), [(0, "60"), (59.999, "1")])
def test_retry_after_is_from_1_to_60(vendor: Vendor, second: float, retry_after: str) -> None:
    vendor.clock.at = NOON + timedelta(seconds=second)
    for _ in range(3):
        vendor.get("/v1/small/rated")
    assert vendor.get("/v1/small/rated").headers["Retry-After"] == retry_after


def test_a_hard_limit_refuses_until_the_period_ends(vendor: Vendor) -> None:
    statuses = [vendor.get("/v1/small/hard").status_code for _ in range(5)]
    refused = vendor.get("/v1/small/hard")
    scope = vendor.scope("hard")
    assert statuses == [200, 200, 200, 403, 403]
    assert refused.json()["error"] == "period_limit_reached"
    assert "2026-12-01T00:00:00Z" in refused.json()["message"]
    assert "Retry-After" not in refused.headers
    assert (scope["requests"], scope["rejected"]) == (1_000, 0)

    vendor.clock.at = datetime(2026, 12, 1, tzinfo=UTC)
    assert vendor.get("/v1/small/hard").status_code == 200


def test_a_soft_limit_lets_overage_through(vendor: Vendor) -> None:
    assert [vendor.get("/v1/small/soft").status_code for _ in range(4)] == [200] * 4
    assert vendor.scope("soft")["requests"] == 1_003


def test_a_limit_of_0_serves_nothing(vendor: Vendor) -> None:
    assert vendor.get("/v1/small/nothing").status_code == 403
    assert vendor.scope("nothing")["limit"] == 0


def test_a_month_starts_from_0_and_keeps_the_days(vendor: Vendor) -> None:
    vendor.clock.at = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
    old = vendor.scope("rated")
    vendor.clock.turn(minutes=1)
    new = vendor.scope("rated")
    assert (old["requests"], old["rejected"]) == (50, 7)
    assert (new["requests"], new["rejected"]) == (0, 0)
    assert new["period"] == {"start": "2026-12-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}
    assert new["daily"] == [*old["daily"][1:], {"date": "2026-12-01", "requests": 0}]

    vendor.get("/v1/small/rated")
    assert vendor.scope("rated")["requests"] == 1


# --- the usage endpoint


def test_the_standard_contract(vendor: Vendor) -> None:
    payload = vendor.usage("obrien").json()
    scope = payload["scopes"][0]
    assert payload["organisation"] == {"id": "obrien", "name": 'O\'Brien & "Söhne" (EU)'}
    assert {key: value for key, value in scope.items() if key != "daily"} == {
        "name": "Maps (v2.1)",
        "id": "maps-v2.1",
        "plan": "Team",
        "unit": "requests",
        "requests": 50_040,
        "limit": 60_000,
        "rate_limit_per_minute": 240,
        "rejected": 7,
        "period": {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"},
    }
    dates = [entry["date"] for entry in scope["daily"]]
    assert dates == [(date(2026, 10, 24) + timedelta(days=n)).isoformat() for n in range(30)]


def test_unlimited_and_unrated_are_told_apart_from_0(vendor: Vendor) -> None:
    thumbnails = vendor.scope("thumbnails", "example-media")
    assert (thumbnails["limit"], thumbnails["rate_limit_per_minute"]) == ("unlimited", None)


def test_an_unchanged_usage_is_a_304(vendor: Vendor) -> None:
    first = vendor.usage()
    etag = first.headers["ETag"]
    again = vendor.usage(**{"If-None-Match": etag})
    assert not etag.startswith("W/")
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)

    vendor.get("/v1/small/soft")
    changed = vendor.usage(**{"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


@pytest.mark.parametrize("path", ["/v1/organisations/small/usage", "/v1/small/soft", "/v1/small/unknown"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {DEMO_TOKEN}"},
        {"Authorization": "Bearer s\u00f6hne".encode().decode("latin-1")},
    ],
)
def test_without_the_token_it_is_a_401(vendor: Vendor, path: str, headers: dict[str, str]) -> None:
    answer = requests.get(vendor.url + path, headers=headers, timeout=TIMEOUT)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error"] == "unauthorised"


@pytest.mark.parametrize(
    "path", ["/v1/organisations/unknown/usage", "/v1/small/unknown", "/v1/unknown/soft", "/elsewhere"]
)
def test_what_is_unknown_is_a_404_in_json(vendor: Vendor, path: str) -> None:
    answer = vendor.get(path)
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


def test_the_index_names_paths_that_work(vendor: Vendor) -> None:
    index = requests.get(vendor.url + "/", timeout=TIMEOUT).json()
    assert [one["name"] for one in index["organisations"]] == [one.name for one in (*ACCOUNTS, SMALL)]
    for organisation in index["organisations"]:
        assert vendor.get(organisation["usage"]).ok
        assert all(vendor.get(path).status_code in {200, 403} for path in organisation["scopes"])


# --- faults


@pytest.mark.parametrize(("fault", "status"), [("500", 500), ("401", 401)])
def test_a_fault_by_status(vendor: Vendor, fault: str, status: int) -> None:
    vendor.post("/faults", {"fault": fault, "organisation": None})
    assert vendor.usage().status_code == status
    assert vendor.usage("obrien").status_code == status
    assert vendor.get("/v1/small/soft").status_code == 200

    vendor.post("/faults", {"fault": "none", "organisation": None})
    assert vendor.usage().status_code == 200


def test_garbage_is_half_a_body_with_a_good_status(vendor: Vendor) -> None:
    vendor.post("/faults", {"fault": "garbage"})
    answer = vendor.usage()
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content.decode(errors="replace"))


def test_slow_waits_until_the_fault_changes(vendor: Vendor) -> None:
    vendor.post("/faults", {"fault": "slow", "organisation": "small"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(vendor.usage)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.1)
        vendor.post("/faults", {"fault": "none", "organisation": "small"})
        assert waiting.result(timeout=TIMEOUT).status_code == 200


def test_slow_waits_no_longer_than_it_is_told_and_not_past_the_end() -> None:
    short = Faults(["a"], slow_seconds=0.01)
    short.set("slow")
    assert short.of("a") == "slow"
    closed = Faults(["a"], slow_seconds=TIMEOUT)
    closed.set("slow")
    closed.close()
    began = time.monotonic()
    assert closed.of("a") == "slow"
    assert time.monotonic() - began < TIMEOUT


def test_a_fault_of_one_organisation_leaves_the_others_alone(vendor: Vendor) -> None:
    shown = vendor.post("/faults", {"fault": "500", "organisation": "obrien"}).json()
    assert shown == requests.get(vendor.url + "/faults", timeout=TIMEOUT).json()
    assert {id_ for id_, fault in shown["faults"].items() if fault != "none"} == {"obrien"}
    assert vendor.usage("obrien").status_code == 500
    assert vendor.usage().status_code == 200


@pytest.mark.parametrize(
    "body", [{}, [], {"fault": "fire"}, {"fault": 500}, {"fault": "500", "organisation": "unknown"}]
)
def test_an_unknown_fault_is_a_400(vendor: Vendor, body: object) -> None:
    answer = vendor.post("/faults", body)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")
    assert set(vendor.faults.all().values()) == {"none"}


# --- setting the usage


def test_usage_can_be_raised_today(vendor: Vendor) -> None:
    before = vendor.scope("routing", "example-logistics")
    after = vendor.post("/usage/example-logistics/routing", {"requests": 90_001}).json()
    assert after == vendor.scope("routing", "example-logistics")
    assert after["requests"] == 90_001
    assert after["daily"][:-1] == before["daily"][:-1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**53), min_size=2, max_size=6), times)
def test_usage_is_what_was_set_last_to_the_request(wanted: list[int], now: datetime) -> None:
    meter = Meter([SMALL], clock=lambda: now)
    for requests_ in wanted:
        meter.set_usage("small", "soft", requests_)
        assert meter.scope("small", "soft").requests == requests_


@pytest.mark.parametrize("wanted", [0, 1, 40_000])
def test_usage_lower_than_the_earlier_days_shrinks_them(vendor: Vendor, wanted: int) -> None:
    before = vendor.scope("routing", "example-logistics")
    after = vendor.post("/usage/example-logistics/routing", {"requests": wanted}).json()
    november = [entry["requests"] for entry in after["daily"] if entry["date"] >= "2026-11-01"]
    assert after["requests"] == sum(november) == wanted
    assert all(
        0 <= new["requests"] <= old["requests"] for old, new in zip(before["daily"], after["daily"], strict=True)
    )
    assert after["daily"][:8] == before["daily"][:8]  # October's


def test_a_new_account_can_be_set_too(vendor: Vendor) -> None:
    after = vendor.post("/usage/small/new", {"requests": 9}).json()
    assert after["daily"] == [{"date": "2026-11-22", "requests": 9}]


@pytest.mark.parametrize("requests_", [-1, 2**53 + 1, 1.5, "10", True, None])
def test_usage_that_cannot_be_is_a_400(vendor: Vendor, requests_: object) -> None:
    before = vendor.scope("soft")
    answer = vendor.post("/usage/small/soft", {"requests": requests_})
    assert answer.status_code == 400
    assert "requests" in answer.json()["message"]
    assert vendor.scope("soft") == before


def test_usage_of_an_unknown_scope_is_a_404(vendor: Vendor) -> None:
    assert vendor.post("/usage/small/unknown", {"requests": 1}).status_code == 404


# --- the history


def assert_starts_as_told(now: datetime) -> None:
    meter = Meter(clock=lambda: now)
    for organisation in ACCOUNTS:
        for state in meter.usage(organisation.id):
            assert state.requests == state.account.used
            assert state.rejected == state.account.rejected
            assert state.period.start <= now < state.period.end
            assert all(requests >= 0 for _, requests in state.daily)
            in_period = [requests for day, requests in state.daily if day >= state.period.start.date()]
            if now.day <= 30:
                assert sum(in_period) == state.account.used
            if state.account.has_history:
                days = [day for day, _ in state.daily]
                assert days == [now.date() - timedelta(days=29 - n) for n in range(30)]


@pytest.mark.parametrize("now", AWKWARD_TIMES, ids=str)
def test_usage_is_exact_on_awkward_days(now: datetime) -> None:
    assert_starts_as_told(now)


@settings(max_examples=30, deadline=None)
@given(times)
def test_usage_is_exact_on_any_day(now: datetime) -> None:
    assert_starts_as_told(now)


def test_on_the_31st_the_whole_period_sums_up_in_the_record() -> None:
    """Its first day is not among the 30 shown, but counts."""
    now = datetime(2026, 10, 31, 18, 0, tzinfo=UTC)
    for record in Meter(clock=lambda: now).records():
        if record.scope.used:
            assert record.points[0].requests > 0
            assert record.points[-1].requests == record.scope.used


def test_the_same_seed_and_time_give_the_same_bytes() -> None:
    bodies = set()
    for seed in (1, 1, 2):
        client = create_app(Meter(clock=lambda: NOON, seed=seed)).test_client()
        bodies.add((seed, client.get("/v1/organisations/obrien/usage", headers=BEARER).data))
    assert len(bodies) == 2
    assert len({body for _, body in bodies}) == 2


def test_weekends_are_quieter() -> None:
    state = Meter(clock=lambda: NOON).scope("example-logistics", "routing")
    november = [(day, requests) for day, requests in state.daily[:-1] if day.month == 11]
    weekend = [requests for day, requests in november if day.weekday() >= calendar.SATURDAY]
    week = [requests for day, requests in november if day.weekday() < calendar.SATURDAY]
    assert max(weekend) < 0.7 * min(week)


@pytest.mark.parametrize("now", AWKWARD_TIMES, ids=str)
def test_no_earlier_month_was_over_a_hard_limit(now: datetime) -> None:
    for record in Meter(clock=lambda: now).records(timedelta(hours=6)):
        if record.scope.limit is not None and record.scope.hard_limit:
            assert all(point.requests <= record.scope.limit for point in record.points)


# --- the accounts


def test_the_first_organisation_shows_every_kind_of_card() -> None:
    scopes = ACCOUNTS[0].scopes
    ratios = [scope.used / scope.limit for scope in scopes if scope.limit]
    assert {Bands().band_of(ratio) for ratio in ratios} == set(Band)
    assert {0.75, 0.90} <= set(ratios)
    assert any(ratio > 1 for ratio in ratios)
    assert any(scope.limit is None for scope in scopes)


def test_exact_percentages_get_no_traffic() -> None:
    for organisation in ACCOUNTS:
        for scope in organisation.scopes:
            if scope.limit and scope.used * 100 in {75 * scope.limit, 90 * scope.limit}:
                assert scope.traffic_per_minute == 0


def test_ids_are_unique_and_fit_into_a_path() -> None:
    ids = [one.id for one in ACCOUNTS]
    assert len(set(ids)) == len(ids)
    for organisation in ACCOUNTS:
        scope_ids = [scope.id for scope in organisation.scopes]
        assert len(set(scope_ids)) == len(scope_ids)
        assert all(quote(id_, safe="") == id_ for id_ in [organisation.id, *scope_ids])


# --- the record for backfilling


def assert_consistent(points: tuple[RecordPoint, ...], daily: tuple[tuple[date, int], ...]) -> None:
    for earlier, later in pairwise(points):
        assert earlier.at < later.at
        if earlier.period == later.period:
            assert earlier.requests <= later.requests
    at_midnight = {point.at.date(): point.requests for point in points if point.at.time() == datetime.min.time()}
    for day, requests_ in daily[:-1]:
        next_day = day + timedelta(days=1)
        if next_day.day == 1:
            assert at_midnight[next_day] == 0
        else:
            assert at_midnight[next_day] - at_midnight[day] == requests_


def assert_record_agrees_with_usage(now: datetime) -> None:
    meter = Meter(clock=lambda: now)
    for record in meter.records():
        state = meter.scope(record.organisation.id, record.scope.id)
        if not state.daily:
            assert record.points == ()
            continue
        first, last = record.points[0], record.points[-1]
        assert first.at == datetime.combine(now.date() - timedelta(days=29), datetime.min.time(), UTC)
        assert (last.at, last.requests, last.period) == (now, state.requests, state.period)
        assert all(point.period.start <= point.at < point.period.end for point in record.points)
        assert {point.limit for point in record.points} == {record.scope.limit}
        if now.time() != datetime.min.time():  # at midnight sharp today's requests are there at once
            assert_consistent(record.points, state.daily)


@pytest.mark.parametrize("now", AWKWARD_TIMES, ids=str)
def test_the_record_agrees_with_the_days_on_awkward_days(now: datetime) -> None:
    assert_record_agrees_with_usage(now)


@settings(max_examples=15, deadline=None)
@given(times)
def test_the_record_agrees_with_the_days_on_any_day(now: datetime) -> None:
    assert_record_agrees_with_usage(now)


def test_the_record_is_hourly_and_holds_what_was_metered() -> None:
    meter = Meter([SMALL], clock=lambda: NOON + timedelta(minutes=5))
    assert meter.request("small", "soft") == Accepted()
    record = next(one for one in meter.records() if one.scope.id == "soft")
    gaps = {later.at - earlier.at for earlier, later in pairwise(record.points)}
    assert gaps == {timedelta(hours=1), timedelta(minutes=5)}
    assert len(record.points) == 29 * 24 + 12 + 1 + 1
    assert record.points[-1].requests == 1_000


@pytest.mark.parametrize("hour", [1, 9, 23])
def test_the_record_runs_into_now_without_a_jump(hour: int) -> None:
    meter = Meter(clock=lambda: NOON.replace(hour=hour))
    for record in meter.records(timedelta(minutes=10)):
        if record.scope.used:
            *_, third, second, last = (point.requests for point in record.points)
            assert last - second <= 2 * (second - third) + 2


def test_a_step_must_go_forward() -> None:
    with pytest.raises(ValueError, match="step"):
        next(Meter(clock=lambda: NOON).records(timedelta(0)))


def test_a_clock_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Meter(clock=lambda: datetime(2026, 11, 22))  # noqa: DTZ001


# --- traffic


class Simulation(threading.Event):
    """A stop event whose waits take no time but turn the vendor's clock, until a simulated end."""

    def __init__(self, clock: TurnableClock, **length: float) -> None:
        super().__init__()
        self._clock = clock
        self._end = clock.at + timedelta(**length)

    def monotonic(self) -> float:
        return (self._clock.at - NOON).total_seconds()

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._clock.turn(seconds=timeout)
        return self._clock.at >= self._end


def simulate(vendor: Vendor, scopes: tuple[ScopeAccount, ...], **length: float) -> None:
    simulation = Simulation(vendor.clock, **length)
    accounts = [OrganisationAccount("example-media", "Example Media", scopes)]
    Traffic(vendor.url, accounts, monotonic=simulation.monotonic).run(simulation)


def busy(scope: str, per_minute: float) -> ScopeAccount:
    return ScopeAccount(scope, scope, "P", None, 0, None, traffic_per_minute=per_minute)


def test_traffic_keeps_each_scope_s_rate(vendor: Vendor) -> None:
    before = {state.account.id: state.requests for state in vendor.meter.usage("example-media")}
    simulate(vendor, (busy("thumbnails", 60), busy("image-resize", 12), busy("transcription", 0)), minutes=3)
    after = {state.account.id: state.requests for state in vendor.meter.usage("example-media")}
    assert {id_: after[id_] - before[id_] for id_ in after} == {
        "thumbnails": 180,
        "image-resize": 36,
        "transcription": 0,
    }


def test_traffic_waits_as_retry_after_says(vendor: Vendor) -> None:
    """30 a minute against a rate limit of 20: 20 served, one refused, then silence until the next minute."""
    before = vendor.meter.scope("example-media", "transcription")
    simulate(vendor, (busy("transcription", 30),), minutes=3)
    after = vendor.meter.scope("example-media", "transcription")
    assert (after.requests - before.requests, after.rejected - before.rejected) == (60, 3)


def test_traffic_pauses_at_a_hard_limit(vendor: Vendor) -> None:
    vendor.meter.set_usage("example-media", "image-resize", 9_999)
    simulate(vendor, (busy("image-resize", 60),), minutes=2.5)
    state = vendor.meter.scope("example-media", "image-resize")
    assert (state.requests, state.rejected) == (10_000, 0)


def test_traffic_survives_a_vendor_that_is_down(caplog: pytest.LogCaptureFixture) -> None:
    clock = TurnableClock(NOON)
    with Server(create_app(Meter(clock=clock))) as server:
        url = server.url
    simulation = Simulation(clock, minutes=5)
    accounts = [OrganisationAccount("o", "O", (busy("s", 60),))]
    Traffic(url, accounts, monotonic=simulation.monotonic).run(simulation)
    waits = [record.message.rsplit("next try in ", 1)[1] for record in caplog.records]
    assert waits == ["1 s", "2 s", "4 s", "8 s", "16 s", "32 s", "60 s", "60 s", "60 s", "60 s"]


def test_traffic_in_its_thread_sends_and_stops(vendor: Vendor) -> None:
    before = vendor.meter.scope("small", "soft").requests
    stop = threading.Event()
    accounts = [OrganisationAccount("small", "Small", (busy("soft", 6_000),))]
    thread = Traffic(vendor.url, accounts).start(stop)
    while vendor.meter.scope("small", "soft").requests < before + 3:
        assert thread.is_alive()
        thread.join(0.01)
    stop.set()
    thread.join(TIMEOUT)
    assert not thread.is_alive()


def test_no_traffic_is_a_thread_that_just_waits() -> None:
    stop = threading.Event()
    thread = Traffic("http://127.0.0.1:9", [SMALL]).start(stop)
    stop.set()
    thread.join(TIMEOUT)
    assert not thread.is_alive()
