"""Vendors whose answers are the farthest from one object: each is read by a config, without a line of code.

The answers are shaped after the vendors' documentation, whose address stands beside each.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from werkzeug.wrappers import Request, Response

from exporter.model import ScopeUsage
from tests.support.asking import read
from tests.support.factories import make_target
from tests.support.http import Vendor


@dataclass(frozen=True)
class Reached:
    """api: fields of the config's, as YAML. answers: by path; headers: of the main answer. scopes: used, limit, days."""

    vendor: str
    documentation: str
    api: str
    answers: dict[str, Any]
    scopes: dict[str, tuple[float, float | None, dict[str, float]]]
    headers: dict[str, str] = field(default_factory=dict)


REACHED = (
    Reached(
        "OpenAI, requests by project and model",
        "https://platform.openai.com/docs/api-reference/usage/completions",
        """
        url: /v1/organization/usage/completions
        params: {start_time: "{period_start:unix}", bucket_width: 1d, group_by: "project_id,model", limit: "31"}
        paging: {by: cursor, cursor: next_page, parameter: page, items: data}
        mapping:
          scopes: "group_by(unwind(data, 'results'), &join(', ', [results.project_id, results.model]))"
          name: key()
          requests: sum([].results.num_model_requests)
          daily: {entries: "@", date: start_time, requests: results.num_model_requests}
        static: {limit: unlimited, period: month}
        """,
        {
            "/v1/organization/usage/completions": {
                "object": "page",
                "has_more": False,
                "next_page": None,
                "data": [
                    {
                        "object": "bucket",
                        "start_time": 1794009600,
                        "end_time": 1794096000,
                        "results": [
                            {"project_id": "proj_a", "model": "gpt-5", "num_model_requests": 5, "input_tokens": 900},
                            {"project_id": "proj_b", "model": "gpt-5", "num_model_requests": 2, "input_tokens": 10},
                        ],
                    },
                    {
                        "object": "bucket",
                        "start_time": 1794096000,
                        "end_time": 1794182400,
                        "results": [{"project_id": "proj_a", "model": "gpt-5", "num_model_requests": 7}],
                    },
                ],
            }
        },
        {
            "proj_a, gpt-5": (12, None, {"2026-11-07": 5, "2026-11-08": 7}),
            "proj_b, gpt-5": (2, None, {"2026-11-07": 2}),
        },
    ),
    Reached(
        "OpenAI, costs by project",
        "https://platform.openai.com/docs/api-reference/usage/costs",
        """
        url: /v1/organization/costs
        params: {start_time: "{period_start:unix}", group_by: project_id, limit: "31"}
        paging: {by: cursor, cursor: next_page, parameter: page, items: data}
        mapping:
          scopes: "group_by(unwind(data, 'results'), &not_null(results.project_id, 'no project'))"
          name: key()
          unit: "'US dollars'"
          requests: sum([].results.amount.value)
        static: {limit: 500, period: month}
        """,
        {
            "/v1/organization/costs": {
                "data": [
                    {
                        "start_time": 1794009600,
                        "results": [
                            {"amount": {"value": 1.25, "currency": "usd"}, "project_id": "proj_a"},
                            {"amount": {"value": 0.5, "currency": "usd"}, "project_id": None},
                        ],
                    },
                    {"start_time": 1794096000, "results": [{"amount": {"value": 2.5}, "project_id": "proj_a"}]},
                ],
                "next_page": None,
            }
        },
        {"proj_a": (3.75, 500, {}), "no project": (0.5, 500, {})},
    ),
    Reached(
        "Anthropic, tokens by model",
        "https://docs.claude.com/en/api/admin-api/usage-cost/get-messages-usage-report",
        """
        url: /v1/organizations/usage_report/messages
        params: {starting_at: "{period_start:iso}", bucket_width: 1d, "group_by[]": model}
        headers: {anthropic-version: "2023-06-01"}
        paging: {by: cursor, cursor: next_page, parameter: page, items: data}
        mapping:
          scopes: "group_by(unwind(data, 'results'), &results.model)"
          name: key()
          unit: "'tokens'"
          requests: add(sum([].results.uncached_input_tokens), sum([].results.output_tokens))
        static: {limit: 1000000, period: month}
        """,
        {
            "/v1/organizations/usage_report/messages": {
                "data": [
                    {
                        "starting_at": "2026-11-07T00:00:00Z",
                        "results": [
                            {"model": "claude-opus", "uncached_input_tokens": 1500, "output_tokens": 500},
                            {"model": "claude-haiku", "uncached_input_tokens": 10, "output_tokens": 20},
                        ],
                    }
                ],
                "has_more": False,
                "next_page": None,
            }
        },
        {"claude-opus": (2000, 1_000_000, {}), "claude-haiku": (30, 1_000_000, {})},
    ),
    Reached(
        "Anthropic, costs",
        "https://docs.claude.com/en/api/admin-api/usage-cost/get-cost-report",
        """
        url: /v1/organizations/cost_report
        params: {starting_at: "{period_start:iso}"}
        mapping:
          scope: Costs
          unit: "'US dollars'"
          # Amounts are texts, in cents.
          requests: div(sum(map(&to_number(amount), data[].results[])), `100`)
        static: {limit: 200, period: month}
        """,
        {
            "/v1/organizations/cost_report": {
                "data": [
                    {"starting_at": "2026-11-07T00:00:00Z", "results": [{"currency": "USD", "amount": "123.78912"}]},
                    {"starting_at": "2026-11-08T00:00:00Z", "results": [{"currency": "USD", "amount": "76.21088"}]},
                ]
            }
        },
        {"Costs": (2, 200, {})},
    ),
    Reached(
        "Anthropic, rate-limit headers",
        "https://docs.claude.com/en/api/rate-limits#response-headers",
        """
        url: /v1/models
        preset: rate-limit-headers
        """,
        {"/v1/models": {}},
        {"requests": (50, 4000, {})},
        {
            "anthropic-ratelimit-requests-limit": "4000",
            "anthropic-ratelimit-requests-remaining": "3950",
            "anthropic-ratelimit-requests-reset": "2026-11-22T12:00:30Z",
        },
    ),
    Reached(
        "Cloudflare, Workers' requests by script",
        "https://developers.cloudflare.com/analytics/graphql-api/",
        """
        url: /client/v4/graphql
        body:
          query: >-
            query ($account: String!, $from: Time!) { viewer { accounts(filter: {accountTag: $account}) {
            workersInvocationsAdaptive(limit: 1000, filter: {datetime_geq: $from}) {
            sum { requests } dimensions { scriptName } } } } }
          variables: {account: "{organisation_id}", from: "{period_start:iso}"}
        mapping:
          error_when: errors[0].message
          scopes: data.viewer.accounts[].workersInvocationsAdaptive[]
          name: dimensions.scriptName
          requests: sum.requests
        static: {limit: 10000000, period: month}
        """,
        {
            "/client/v4/graphql": {
                "data": {
                    "viewer": {
                        "accounts": [
                            {
                                "workersInvocationsAdaptive": [
                                    {"sum": {"requests": 1200}, "dimensions": {"scriptName": "api"}},
                                    {"sum": {"requests": 34}, "dimensions": {"scriptName": "site"}},
                                ]
                            }
                        ]
                    }
                },
                "errors": None,
            }
        },
        {"api": (1200, 10_000_000, {}), "site": (34, 10_000_000, {})},
    ),
    Reached(
        "Twilio, categories with daily records",
        "https://www.twilio.com/docs/usage/api/usage-record",
        """
        url: /2010-04-01/Accounts/{organisation_id}/Usage/Records/ThisMonth.json
        requests:
          daily:
            url: /2010-04-01/Accounts/{organisation_id}/Usage/Records/Daily.json
            params: {StartDate: "{history_start}", EndDate: "{today}"}
            paging: {by: url, next_url: next_page_uri, items: usage_records}
        mapping:
          scopes: usage_records
          filter: count != '0'
          name: category
          unit: count_unit
          requests: to_number(count)
          joins:
            daily: {scopes: "group_by(usage_records, &category)"}
          daily:
            entries: {request: daily, path: "@"}
            date: start_date
            requests: to_number(count)
        static: {limit: unlimited, period: month}
        """,
        {
            "/2010-04-01/Accounts/acme/Usage/Records/ThisMonth.json": {
                "usage_records": [
                    {"category": "sms", "count": "40", "count_unit": "messages"},
                    {"category": "calls", "count": "3", "count_unit": "calls"},
                    {"category": "mms", "count": "0", "count_unit": "messages"},
                ]
            },
            "/2010-04-01/Accounts/acme/Usage/Records/Daily.json": {
                "usage_records": [
                    {"category": "sms", "start_date": "2026-11-06", "count": "15"},
                    {"category": "sms", "start_date": "2026-11-07", "count": "25"},
                    {"category": "calls", "start_date": "2026-11-07", "count": "3"},
                ],
                "next_page_uri": None,
            },
        },
        {
            "sms": (40, None, {"2026-11-06": 15, "2026-11-07": 25}),
            "calls": (3, None, {"2026-11-07": 3}),
        },
    ),
    Reached(
        "Google Cloud, quota metrics",
        "https://cloud.google.com/monitoring/alerts/using-quota-metrics",
        """
        url: /v3/projects/{organisation_id}/timeSeries
        params:
          filter: metric.type="serviceruntime.googleapis.com/quota/allocation/usage"
          interval.startTime: "{yesterday}T00:00:00Z"
          interval.endTime: "{now:iso}"
        paging: {by: cursor, cursor: nextPageToken, parameter: pageToken, items: timeSeries}
        requests:
          limits:
            url: /v3/projects/{organisation_id}/limits
            params: {filter: metric.type="serviceruntime.googleapis.com/quota/limit"}
        mapping:
          scopes: timeSeries
          name: metric.labels.quota_metric
          requests: to_number(points[0].value.int64Value)
          joins:
            limits: {scopes: timeSeries, name: metric.labels.quota_metric}
          limit: {request: limits, path: "to_number(points[0].value.int64Value)"}
          unlimited_when: [-1]
        """,
        {
            "/v3/projects/acme/timeSeries": {
                "timeSeries": [
                    {
                        "metric": {"labels": {"quota_metric": "compute.googleapis.com/cpus"}},
                        "points": [{"value": {"int64Value": "48"}}, {"value": {"int64Value": "47"}}],
                    },
                    {
                        "metric": {"labels": {"quota_metric": "compute.googleapis.com/images"}},
                        "points": [{"value": {"int64Value": "3"}}],
                    },
                ]
            },
            "/v3/projects/acme/limits": {
                "timeSeries": [
                    {
                        "metric": {"labels": {"quota_metric": "compute.googleapis.com/cpus"}},
                        "points": [{"value": {"int64Value": "72"}}],
                    },
                    {
                        "metric": {"labels": {"quota_metric": "compute.googleapis.com/images"}},
                        "points": [{"value": {"int64Value": "-1"}}],
                    },
                ]
            },
        },
        {"compute.googleapis.com/cpus": (48, 72, {}), "compute.googleapis.com/images": (3, None, {})},
    ),
)


@pytest.mark.parametrize("reached", REACHED, ids=lambda reached: reached.vendor)
def test_a_config_reads_it(reached: Reached, tmp_path: Path, vendor: Vendor) -> None:
    def answer(request: Request) -> Response:
        return Response(json.dumps(reached.answers[request.path]), headers=reached.headers)

    vendor.answer = answer
    target = make_target(tmp_path, base_url=vendor.url, **yaml.safe_load(reached.api))
    snapshot = read(target)
    assert {scope.name: _numbers(scope) for scope in snapshot.scopes} == reached.scopes
    assert snapshot.remarks == ()


def _numbers(scope: ScopeUsage) -> tuple[float | None, float | None, dict[str, float]]:
    days = {day.date.isoformat(): day.requests for day in scope.daily or () if day.requests}
    return scope.requests, scope.limit, days
