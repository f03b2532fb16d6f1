"""`bundle --check` against a real Prometheus, a vmalert, a stand-in for Grafana, and a real one if GRAFANA_HOME says where."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click.testing import CliRunner, Result
from werkzeug.wrappers import Request, Response

from exporter.bundle.files import Site, site_files
from exporter.cli import main
from exporter.local.ports import free_port
from exporter.local.processes import Processes, eventually
from exporter.local.prometheus import start_prometheus
from tests.support.grafana import start_grafana
from tests.support.http import Vendor, serve
from tests.support.programs import start_victoria_metrics, start_vmalert

ALERTS = "alert_rules/alerts.yaml"


def check(*flags: str) -> Result:
    return CliRunner().invoke(main, ["bundle", "--check", *flags])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle with all default values."""
    folder = tmp_path / "bundle"
    assert CliRunner().invoke(main, ["bundle", f"--output={folder}"]).exit_code == 0
    return folder


# --- the folder


def test_a_folder_as_it_was_written_differs_in_nothing_and_nothing_is_written(folder: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    (folder / "provisioning/alertmanager/alertmanager.yml").write_text("# mine\n")
    times[folder / "provisioning/alertmanager/alertmanager.yml"] = -1
    ran = check(f"--output={folder}")
    assert (ran.exit_code, ran.output) == (0, f"{folder} holds what would be written.\n")
    found = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert [path for path in found if found[path] != times[path]] == [
        folder / "provisioning/alertmanager/alertmanager.yml"
    ]


def test_what_differs_in_a_folder_is_listed_by_reason(folder: Path) -> None:
    (folder / ALERTS).write_text("groups: []\n")
    (folder / "dashboards/json/api-usage.json").unlink()
    ran = check(f"--output={folder}", "--only=rules,dashboards", "--warning=0.6")
    assert ran.exit_code == 1
    assert f"{folder} lacks:\n  dashboards/json/api-usage.json\n" in ran.output
    assert f"{folder} has, edited:\n  {ALERTS}\n" in ran.output
    assert f"{folder} has, of another version or other values:\n  alert_rules/recording.yaml\n" in ran.output
    assert (folder / ALERTS).read_text() == "groups: []\n"


def test_a_folder_that_is_not_there_lacks_everything(tmp_path: Path) -> None:
    ran = check(f"--output={tmp_path / 'bundle'}")
    assert (ran.exit_code, ran.output.count("\n")) == (1, 1 + len(site_files(Site())))
    assert not (tmp_path / "bundle").exists()


# --- Prometheus


@contextmanager
def prometheus(processes: Processes, tmp_path: Path, rules: Path) -> Iterator[str]:
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump({"rule_files": [f"{rules}/*.yaml"]}))
    yield start_prometheus(processes, config, tmp_path / "tsdb")


def test_a_prometheus_with_these_rules_and_then_others(processes: Processes, folder: Path, tmp_path: Path) -> None:
    rules = folder / "alert_rules"
    with prometheus(processes, tmp_path, rules) as url:
        flag = f"--check.prometheus-url={url}/"
        ran = check(flag)
        assert (ran.exit_code, ran.output) == (0, f"{url} has the bundle's rules.\n")

        # Other values.
        ran = check(flag, "--warning=0.6")
        assert ran.exit_code == 1
        assert ran.output.startswith(f"{url} has other rules than the bundle, in ")
        lines = [" ".join(line.split()) for line in ran.output.splitlines()]
        rule = '{mark} last_over_time(api_usage_threshold_ratio{{severity="warning"}}[10m]) != {ratio}'
        assert rule.format(mark="-", ratio=0.75) in lines, ran.output
        assert rule.format(mark="+", ratio=0.6) in lines, ran.output

        # The layout of an expression is no difference; whatever else is changed in the files, is.
        alerts = yaml.safe_load((rules / "alerts.yaml").read_text())
        first, second, third = alerts["groups"][0]["rules"][:3]
        fourth = alerts["groups"][1]["rules"][0]
        first["expr"] = " ".join(first["expr"].split())
        second["for"] = "1h"
        third["annotations"]["summary"] = "Mine"
        third["labels"]["severity"] = "info"
        name = fourth["alert"]
        fourth["alert"] = "ApiUsageOfMine"
        (rules / "alerts.yaml").write_text(yaml.safe_dump(alerts))
        (rules / "more.yaml").write_text(
            yaml.safe_dump({"groups": [{"name": "mine", "rules": [{"alert": "ApiUsageHigh", "expr": "vector(1)"}]}]})
        )
        requests.post(f"{url}/-/reload", timeout=10).raise_for_status()
        output = check(flag, "--only=rules").output
        group, another = (each["name"] for each in alerts["groups"][:2])
        assert f"  {group}: {first['alert']}\n" not in output
        assert f"  {group}: {second['alert']}\n    for: 1h, in the bundle " in output
        assert "    labels.severity:\n      - info\n      + " in output
        assert "    annotations.summary:\n      - Mine\n      + " in output
        assert f"  {another}: {name} is not loaded\n" in output
        assert f"  {another}: ApiUsageOfMine is loaded, and not in the bundle\n" in output
        assert f"  ApiUsageHigh is loaded in the group mine as well\n    {rules}/more.yaml\n" in output

        # The same rules from two files.
        (rules / "more.yaml").write_bytes((rules / "recording.yaml").read_bytes())
        requests.post(f"{url}/-/reload", timeout=10).raise_for_status()
        assert f" is loaded 2 times\n    {rules}/more.yaml\n    {rules}/recording.yaml\n" in check(flag).output


def test_a_prometheus_without_rules(processes: Processes, tmp_path: Path) -> None:
    with prometheus(processes, tmp_path, tmp_path / "nothing") as url:
        ran = check(f"--check.prometheus-url={url}")
    assert ran.exit_code == 1
    assert ": ApiUsageHigh is not loaded\n" in ran.output


def test_a_vmalert_with_these_rules(processes: Processes, folder: Path, tmp_path: Path) -> None:
    victoria = start_victoria_metrics(processes, tmp_path / "victoria")
    vmalert = start_vmalert(processes, victoria, folder / "alert_rules", victoria)
    ran = check(f"--check.prometheus-url={vmalert}")
    assert (ran.exit_code, ran.output) == (0, f"{vmalert} has the bundle's rules.\n")


def test_what_is_compared_has_the_values_that_the_folder_was_written_with(
    processes: Processes, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    flags = [f"--output={folder}", "--warning=0.6", "--runbook-url=https://wiki.example.org"]
    assert CliRunner().invoke(main, ["bundle", *flags]).exit_code == 0
    with prometheus(processes, tmp_path, folder / "alert_rules") as url:
        assert check(f"--output={folder}", f"--check.prometheus-url={url}").exit_code == 0
        assert check(f"--check.prometheus-url={url}").exit_code == 1


def test_user_and_password_come_from_netrc(vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    vendor.answer = lambda _: _json({"data": {"groups": []}})
    assert check(f"--check.prometheus-url={vendor.url}").exit_code == 1
    (asked, *_) = vendor.requests
    assert asked.authorization is not None
    assert (asked.authorization.username, asked.authorization.password) == ("somebody", "secret")


# --- Grafana


class Grafana:
    """Its API for dashboards: https://grafana.com/docs/grafana/latest/developers/http_api/dashboard/"""

    def __init__(self, token: str) -> None:
        self.token = token
        self.dashboards: dict[str, dict[str, Any]] = {}

    def provision(self, texts: dict[str, str]) -> None:
        for number, text in enumerate(texts.values(), start=1):
            dashboard = json.loads(text)
            self.dashboards[dashboard["uid"]] = {**dashboard, "id": number, "version": number}

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.path == "/api/health":
            return _json({"database": "ok", "version": "13.2.3"})
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _json({"message": "Unauthorized"}, 401)
        uid = request.path.removeprefix("/api/dashboards/uid/")
        if uid not in self.dashboards:
            return _json({"message": "Dashboard not found", "status": "not-found"}, 404)
        meta = {"type": "db", "canSave": True, "provisioned": True, "slug": uid, "url": f"/d/{uid}/{uid}"}
        return _json({"meta": meta, "dashboard": self.dashboards[uid]})


def _json(document: Any, status: int = 200) -> Response:
    return Response(json.dumps(document), status, mimetype="application/json")


@pytest.fixture
def grafana(tmp_path: Path) -> Iterator[tuple[Grafana, list[str]]]:
    """One with the bundle's dashboards, and the flags to ask it."""
    stand_in = Grafana("glsa_0123456789")
    stand_in.provision({path: text for path, text in site_files(Site()).items() if path.endswith(".json")})
    (tmp_path / "token").write_text("glsa_0123456789\n")
    with serve(stand_in) as url:
        yield stand_in, [f"--check.grafana-url={url}", f"--check.grafana-token-file={tmp_path / 'token'}"]


def test_a_grafana_with_these_dashboards(grafana: tuple[Grafana, list[str]]) -> None:
    _, flags = grafana
    ran = check(*flags)
    assert ran.exit_code == 0
    assert ran.output.endswith(" has the bundle's dashboards.\n")


def test_a_grafana_with_other_dashboards(grafana: tuple[Grafana, list[str]]) -> None:
    stand_in, flags = grafana
    del stand_in.dashboards["api-usage-exporter"]
    usage = stand_in.dashboards["api-usage"]
    usage["title"] = "Ours"
    usage["templating"]["list"][0]["current"] = {"text": "chosen", "value": "chosen"}
    (bar,) = [panel for panel in usage["panels"] if panel["type"] == "bargauge"]
    bar["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"] = 60
    bar["pluginVersion"] = "13.2.3"
    removed = usage["panels"].pop()
    usage["panels"].append({"type": "text", "title": "A note"})
    ran = check(*flags)
    assert ran.exit_code == 1
    lines = ran.output.splitlines()
    assert "  api-usage-exporter (API usage exporter) is not there" in lines
    assert "  api-usage (API usage)" in lines
    assert '    title: "Ours", in the bundle "API usage"' in lines
    step = f"    panels[{bar['title']}].fieldConfig.defaults.thresholds.steps[1].value: 60, in the bundle 75"
    assert step in [line.replace("75.0", "75") for line in lines]
    assert f"    panels[{removed['title']}] is not there" in lines
    assert "    panels[A note] is not in the bundle" in lines
    assert not [
        line for line in lines if "current" in line or "pluginVersion" in line or "api-usage-overview" in line
    ]


def test_what_a_newer_grafana_adds_as_it_migrates_is_no_difference(grafana: tuple[Grafana, list[str]]) -> None:
    stand_in, flags = grafana
    for dashboard in stand_in.dashboards.values():
        dashboard |= {"schemaVersion": 42, "preload": False, "weekStart": "monday"}
    assert check(*flags).exit_code == 0
    stand_in.dashboards["api-usage"]["refresh"] = "7s"
    assert check(*flags).exit_code == 1


@pytest.mark.skipif("GRAFANA_HOME" not in os.environ, reason="make test-grafana GRAFANA_HOME=… asks a real Grafana")
def test_a_real_grafana_with_these_dashboards(processes: Processes, tmp_path: Path) -> None:
    url = start_grafana(processes, Path(os.environ["GRAFANA_HOME"]), "http://127.0.0.1:9", tmp_path)
    flag = f"--check.grafana-url={url}"
    eventually(lambda: "is not there" not in check(flag).output)
    assert check(flag).exit_code == 0, check(flag).output
    assert "thresholds" in check(flag, "--warning=0.6").output


def test_what_a_server_says_does_nothing_to_a_terminal(grafana: tuple[Grafana, list[str]], vendor: Vendor) -> None:
    stand_in, flags = grafana
    usage = stand_in.dashboards["api-usage"]
    usage["title"] = usage["panels"][0]["title"] = "\x1b]0;x\x07\x9b2J\nB"
    ran = check(*flags)
    assert r"panels[\x1b]0;x\x07\x9b2J\nB] is not in the bundle" in ran.output
    assert all(char.isprintable() or char == "\n" for char in ran.output)
    vendor.answer = lambda _: Response("\x1b[2J", 500)
    ran = check(f"--check.prometheus-url={vendor.url}")
    assert ran.stderr.endswith("answers 500: \\x1b[2J\n")


def test_a_token_goes_to_no_other_address(vendor: Vendor, grafana: tuple[Grafana, list[str]]) -> None:
    vendor.answer = lambda _: Response("no", 500)
    with serve(Response(status=302, headers={"Location": f"{vendor.url}/api/x"})) as url:
        ran = check(f"--check.grafana-url={url}", grafana[1][1])
    assert (ran.exit_code, vendor.requests) == (2, [])
    assert f"leads on to {vendor.url}/api/x: if that is it, name its address in the flag\n" in ran.stderr


# --- what cannot be asked


def test_both_are_asked_at_once(
    processes: Processes, folder: Path, tmp_path: Path, grafana: tuple[Grafana, list[str]]
) -> None:
    with prometheus(processes, tmp_path, folder / "alert_rules") as url:
        ran = check(f"--output={folder}", f"--check.prometheus-url={url}", *grafana[1])
    assert ran.exit_code == 0
    assert [line.rpartition(" ")[2] for line in ran.output.splitlines()] == ["written.", "rules.", "dashboards."]


def test_a_server_that_is_down_is_another_exit_code() -> None:
    url = f"http://127.0.0.1:{free_port(0, '')}"
    for flag in ("--check.prometheus-url", "--check.grafana-url"):
        ran = check(f"{flag}={url}")
        assert ran.exit_code == 2
        assert ran.stderr == f"Error: {url}: connection to {url.removeprefix('http://')} failed: Connection refused\n"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            Response("<html>Sign in", mimetype="text/html"),
            "answers no JSON, but text/html; charset=utf-8; is it behind",
        ),
        (_json({"data": {"groups": [{"name": 1}]}}), "does not answer as "),
        (_json([]), "does not answer as "),
        (_json({"message": "Unauthorized"}, 401), 'answers 401: {"message": "Unauthorized"}'),
        (Response(status=404), "; is it one?"),
        (Response("x" * 10_000, 500), f"answers 500: {'x' * 200}\n"),
    ],
    ids=["page", "shape", "list", "refused", "other", "fault"],
)
@pytest.mark.parametrize("flag", ["--check.prometheus-url", "--check.grafana-url"])
def test_what_is_no_prometheus_or_grafana(answer: Response, message: str, flag: str, vendor: Vendor) -> None:
    vendor.answer = lambda _: answer
    ran = check(f"{flag}={vendor.url}")
    assert ran.exit_code == 2
    assert ran.stderr.startswith(f"Error: {vendor.url}")
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--check"], "Missing option '--output', or a server to check."),
        ([], "Missing option '--output'."),
        (["--output=x", "--check.prometheus-url=http://p"], "--check.prometheus-url goes with --check."),
        (["--check", "--output=x", "--check.grafana-token-file=t"], "goes with --check.grafana-url."),
        (["--check", "--check.prometheus-url=p:9090"], "must begin with http:// or https://"),
    ],
)
def test_flags_that_do_not_go_together(
    flags: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(main, ["bundle", *flags])
    assert ran.exit_code == 2
    assert message in " ".join(ran.stderr.split())


@pytest.mark.parametrize("token", ["", "two words", "a\nb", "ключ"])
def test_a_token_file_that_holds_none(token: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    ran = check("--check.grafana-url=http://127.0.0.1:9", f"--check.grafana-token-file={file}")
    assert (ran.exit_code, "token" in ran.stderr, "Traceback" in ran.stderr) == (1, True, False)


def test_only_parts_that_are_checked_are_asked_for(vendor: Vendor) -> None:
    ran = check("--only=systemd", f"--check.prometheus-url={vendor.url}")
    assert ran.exit_code == 2
    assert "--only leaves rules out, of which a server is to be asked." in ran.stderr
    assert vendor.requests == []
