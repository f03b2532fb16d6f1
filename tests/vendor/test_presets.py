"""Presets against more of their vendor than documented answers: paging, signatures, counters that grow."""

import gc
import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from prometheus_client import CollectorRegistry, Counter, generate_latest
from werkzeug.wrappers import Request, Response

from exporter.clock import SystemClock
from exporter.config.load import Target
from exporter.errors import PollError
from exporter.local.processes import Processes, eventually
from exporter.local.prometheus import query, start_prometheus
from exporter.model import BillingPeriod, DailyUsage, UsageSnapshot
from exporter.vendor.client import VendorClient
from exporter.vendor.one_poll import poll
from tests.support.asking import ask, read
from tests.support.factories import make_target
from tests.support.http import Vendor, serve


class ApiGateway:
    """moto's API Gateway, with GetUsage, which moto lacks, and a check of every signature."""

    def __init__(self, moto: Any) -> None:
        self.usage: dict[str, list[list[int]]] = {}
        self.page_size = 2
        self._moto = moto

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        if not _is_signed(request):
            return Response('{"message": "Forbidden"}', 403)(environ, start_response)
        if request.path.endswith("/usage"):
            return Response(json.dumps(self._page(request)))(environ, start_response)
        return self._moto(environ, start_response)

    def _page(self, request: Request) -> dict[str, Any]:
        start, end = (date.fromisoformat(request.args[name]) for name in ("startDate", "endDate"))
        days = (end - start).days + 1
        first = int(request.args.get("position", 0))
        keys = sorted(self.usage)[first : first + self.page_size]
        page: dict[str, Any] = {"usagePlanId": "x", "startDate": str(start), "endDate": str(end)}
        page["values"] = {key: self.usage[key][-days:] for key in keys}
        if first + self.page_size < len(self.usage):
            page["position"] = str(first + self.page_size)
        return page


def _is_signed(request: Request) -> bool:
    """Whether botocore, given the same secret, comes to the same signature."""
    sent = request.headers.get("X-Amz-Date", "")
    url = f"http://{request.host}{request.environ['REQUEST_URI']}"
    again = AWSRequest("GET", url, headers={"Host": request.host, "X-Amz-Date": sent})
    again.context["timestamp"] = sent
    signer = SigV4Auth(Credentials("AKIAEXAMPLE", "s3cr3t"), "apigateway", "eu-central-1")
    signature = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    return bool(sent) and request.headers.get("Authorization", "").endswith(f"Signature={signature}")


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, ApiGateway, Any]]:
    """(URL, the gateway, a client of its own to set it up with)."""
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}.items():
        monkeypatch.setitem(os.environ, name, value)
    moto = DomainDispatcherApplication(create_backend_app)
    gateway = ApiGateway(moto)
    with serve(moto) as set_up, serve(gateway) as url:
        client = boto3.client("apigateway", region_name="eu-central-1", endpoint_url=set_up)
        yield url, gateway, client
        client.close()


def usage_plan(client: Any, gateway: ApiGateway, **quota: Any) -> str:
    settings = {"quota": quota} if quota else {}
    plan: str = client.create_usage_plan(name="Gold", throttle={"rateLimit": 10.0, "burstLimit": 20}, **settings)[
        "id"
    ]
    for number in range(5):
        key = client.create_api_key(name=f"customer-{number}", enabled=True)["id"]
        client.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
        gateway.usage[key] = [[number * 10 + day, 10_000] for day in range(30)]
    return plan


def aws_target(tmp_path: Path, url: str, plan: str, **api: Any) -> Target:
    return make_target(
        tmp_path,
        preset="aws-api-gateway",
        base_url=url,
        url="/usageplans/{organisation_id}/usage",
        auth={"type": "aws", "region": "eu-central-1"},
        organisations=[{"id": plan}],
        **api,
    )


def test_aws_api_gateway(tmp_path: Path, gateway: tuple[str, ApiGateway, Any]) -> None:
    url, server, client = gateway
    plan = usage_plan(client, server, limit=50_000, period="MONTH")
    snapshot = read(aws_target(tmp_path, url, plan))
    scopes = {scope.name: scope for scope in snapshot.scopes}
    assert sorted(scopes) == [f"customer-{number}" for number in range(5)]
    scope = scopes["customer-2"]
    # 1 to 22 November are the last 22 of 30 days, with 20 + day requests each.
    assert scope.requests == sum(20 + day for day in range(8, 30))
    assert (scope.limit, scope.rate_limit_per_minute, scope.plan) == (50_000, 600, "Gold")
    assert scope.id in server.usage
    assert scope.period == BillingPeriod(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert scope.daily is not None
    assert (scope.daily[0], len(scope.daily)) == (DailyUsage(date(2026, 10, 24), 20), 30)


def test_aws_quotas_of_other_periods_are_refused_until_the_config_says_so(
    tmp_path: Path, gateway: tuple[str, ApiGateway, Any]
) -> None:
    url, server, client = gateway
    plan = usage_plan(client, server, limit=100, period="DAY")
    outcome = ask(aws_target(tmp_path, url, plan))
    assert str(outcome).endswith(' gave "DAY"')
    by_day = {"mapping": {"error_when": None}, "static": {"period": "day"}}
    scope = next(
        scope for scope in read(aws_target(tmp_path, url, plan, **by_day)).scopes if scope.name == "customer-1"
    )
    assert (scope.requests, scope.limit) == (39, 100)
    assert scope.period == BillingPeriod(datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))


def test_aws_plans_without_a_quota_are_unlimited(tmp_path: Path, gateway: tuple[str, ApiGateway, Any]) -> None:
    url, server, client = gateway
    snapshot = read(aws_target(tmp_path, url, usage_plan(client, server)))
    assert {scope.limit for scope in snapshot.scopes} == {None}


def test_aws_with_wrong_credentials(
    tmp_path: Path, gateway: tuple[str, ApiGateway, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, server, client = gateway
    plan = usage_plan(client, server)
    monkeypatch.setitem(os.environ, "AWS_SECRET_ACCESS_KEY", "wrong")
    gc.collect()  # credentials are kept as long as a client of a test before holds them
    outcome = ask(aws_target(tmp_path, url, plan))
    assert isinstance(outcome, PollError)
    assert outcome.reason == "auth"


def test_prometheus_counters_of_one_s_own(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    counter = Counter("client_requests", "x", ["scope"], registry=registry)
    counter.labels("maps").inc(3)
    counter.labels("search").inc(0)

    def scraped(_: Request) -> Response:
        return Response(generate_latest(registry), content_type="text/plain; version=0.0.4")

    vendor = Vendor()
    vendor.answer = scraped
    scrape = {"scrape_interval": "1s"}
    with serve(vendor) as url, Processes(tmp_path) as processes:
        jobs = [{"job_name": "client", "static_configs": [{"targets": [url.removeprefix("http://")]}]}]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"global": scrape, "scrape_configs": jobs}))
        prometheus = start_prometheus(processes, tmp_path / "prometheus.yml", tmp_path / "tsdb")
        eventually(lambda: query(prometheus, 'client_requests_total{scope="maps"} == 3'))
        counter.labels("maps").inc(20)
        eventually(lambda: query(prometheus, 'client_requests_total{scope="maps"} == 23'))
        target = make_target(
            tmp_path,
            preset="prometheus",
            base_url=prometheus,
            url="/api/v1/query",
            params={
                "query": "round(sum by (scope) (increase(client_requests_total[{seconds_since_period_start}s])))"
            },
            static={"period": "month", "limit": 1000},
            overrides={"search": {"limit": 50}},
        )

        def counted() -> dict[str, tuple[float, float | None]]:
            outcome = poll(target, VendorClient(target, SystemClock()), SystemClock())
            assert isinstance(outcome, UsageSnapshot), outcome
            return {scope.name: (scope.requests or 0, scope.limit) for scope in outcome.scopes}

        # increase() extrapolates to the edges of its range, so a fresh counter's count is near its true one.
        counts = eventually(counted)
        assert 20 <= counts["maps"][0] <= 40
        assert counts["search"] == (0, 50)
        assert counts["maps"][1] == 1000


def test_aws_plans_without_keys_are_no_failure(tmp_path: Path, gateway: tuple[str, ApiGateway, Any]) -> None:
    url, _, client = gateway
    plan = client.create_usage_plan(name="Empty")["id"]
    assert read(aws_target(tmp_path, url, plan)).scopes == ()
