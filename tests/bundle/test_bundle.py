"""`api-usage-exporter bundle`: the project's own files, with a site's addresses and thresholds."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from exporter import metrics
from exporter.bundle.files import Site, rule_files, site_files, site_url
from exporter.bundle.kubernetes import PROMETHEUS_RULE
from exporter.cli import main
from exporter.links import GRAFANA_URL, RUNBOOKS_URL
from exporter.thresholds import Bands
from tests.support.factories import write_config
from tests.support.project import bundle_in, bundled, files_in
from tests.support.promtool import groups, promtool, run_rules_test, selector

ODD = Bands(0.333, 0.955)
SITE = Site("https://grafana.example.org/monitoring", "https://wiki.example.org/a/b", ODD)
FLAGS = (
    f"--grafana-url={SITE.grafana}/",
    f"--runbook-url={SITE.runbooks}/",
    f"--warning={ODD.warning}",
    f"--critical={ODD.critical}",
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["bundle", *map(str, arguments)])


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A bundle with everything of a site's own."""
    folder = tmp_path / "bundle"
    ran = run("--output", folder, *FLAGS)
    assert ran.exit_code == 0, ran.output
    return folder


# What is written


def test_the_defaults_are_the_project_s_own_files_byte_for_byte(tmp_path: Path) -> None:
    ran = run("--output", tmp_path)
    assert ran.exit_code == 0
    assert bundle_in(tmp_path) == bundled()
    assert f"{len(bundled())} files written" in ran.output
    assert "That address is a placeholder" in ran.output
    assert "thresholds:" not in ran.output


def test_it_has_the_same_files_for_any_site_and_prometheus_takes_its_rules(written: Path) -> None:
    assert set(bundle_in(written)) == set(bundled())
    rules = [str(file) for file in (written / "alert_rules").glob("*.yaml")]
    assert len(rules) == 2
    promtool("check", "rules", "--lint=all", "--lint-fatal", *rules)


def test_the_prometheus_rule_holds_the_same_rules(written: Path) -> None:
    rule = yaml.safe_load((written / PROMETHEUS_RULE).read_text(encoding="utf-8"))
    files = [written / f"alert_rules/{name}.yaml" for name in ("alerts", "recording")]
    assert rule["spec"]["groups"] == groups(*files)


def alerts_of(folder: Path) -> dict[str, dict[str, Any]]:
    rules = [rule for group in groups(folder / "alert_rules/alerts.yaml") for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules}


def test_every_link_is_the_site_s(written: Path) -> None:
    for name, alert in alerts_of(written).items():
        assert alert["annotations"]["runbook_url"] == f"{SITE.runbooks}/{name}.md"
        assert alert["annotations"]["dashboard_url"].startswith(f"{SITE.grafana}/d/api-usage")
    for path, content in files_in(written).items():
        assert GRAFANA_URL not in content.decode(), path
        assert RUNBOOKS_URL not in content.decode(), path
    for file in (written / "dashboards/json").glob("*.json"):
        assert SITE.runbooks in {link.get("url") for link in json.loads(file.read_text())["links"]}


def test_a_site_s_address_may_look_like_a_default_one() -> None:
    site = Site("https://grafana.example.org", f"{GRAFANA_URL}/runbooks")
    alerts = rule_files(site)["alert_rules/alerts.yaml"]
    assert f"{GRAFANA_URL}/runbooks/ApiUsageHigh.md" in alerts
    assert "https://grafana.example.org/d/api-usage?" in alerts


def test_texts_name_the_site_s_thresholds(written: Path) -> None:
    high, critical = (
        (written / f"alert_rules/runbooks/ApiUsage{name}.md").read_text() for name in ("High", "Critical")
    )
    assert "\n33.3 % or more of what a scope may be asked for" in high
    assert "The 95.5 % alert,\n`ApiUsageCritical`" in high
    assert "\nMore than 95.5 % of what" in critical
    assert "Exactly 95.5 % is still\nthe warning's" in critical


def test_no_text_names_the_default_thresholds_any_more(written: Path) -> None:
    of_something_else = re.compile(r"day's share|limit / days|a minute|per_rate_limit|0\.75 is 75 %|/ 1e12 >= 0\.75$")
    for path, content in files_in(written / "alert_rules").items():
        for line in content.decode().splitlines():
            if re.search(r"\b(75|90) ?%|\b0\.(75|90?)\b", line):
                assert of_something_else.search(line), f"{path}: {line}"


@given(st.sets(st.integers(10, 10_000), min_size=2, max_size=2))
def test_rules_hold_exactly_the_numbers_asked_for(boundaries: set[int]) -> None:
    warning, critical = (boundary / 10_000 for boundary in sorted(boundaries))
    recording = rule_files(Site(bands=Bands(warning, critical)))["alert_rules/recording.yaml"]
    begins = r"scope:api_usage_requests_per_limit:ratio_near (>=?) bool (?:\(scope:\S+ or clamp\(\S+, \S+, )?([^\s)]+)\)* \* "
    found = re.findall(begins, recording)
    assert [(operator, float(number)) for operator, number in found] == [(">=", warning), (">", critical), (">=", 1)]


@pytest.mark.parametrize(
    ("requests", "firing"),
    [("3329", set()), ("3330", {"High"}), ("9550", {"High"}), ("9551", {"High", "Critical"})],
)
def test_the_boundaries_fall_as_with_the_defaults(
    requests: str, firing: set[str], written: Path, tmp_path: Path
) -> None:
    labels = {"job": "usage", "instance": "a", "api": "maps", "organisation": "Acme", "scope": "Tiles"}
    series = {
        selector(metrics.REQUESTS.name, **labels): f"{requests}x60",
        selector(metrics.LIMIT.name, **labels): "10000x60",
    }
    samples: dict[tuple[str, str], dict[str, float]] = {
        (f'count(ALERTS{{alertname="ApiUsage{name}",alertstate="firing"}})', "30m"): {"{}": 1}
        if name in firing
        else {}
        for name in ("High", "Critical")
    }
    rules = [written / f"alert_rules/{name}.yaml" for name in ("recording", "alerts")]
    run_rules_test(tmp_path, series, samples=samples, files=rules)


def test_the_next_steps_name_what_the_exporter_s_config_needs(tmp_path: Path) -> None:
    output = run("--output", tmp_path, *FLAGS).output
    assert "Amber from 33.3 %, red over 95.5 %." in output
    assert f"{SITE.runbooks}/ApiUsageHigh.md" in output
    config = write_config(tmp_path / "config.yaml", {"url": "http://127.0.0.1:9/"})
    config.write_text(config.read_text() + output.splitlines()[-1].strip() + "\n")
    again = run("--output", tmp_path, *FLAGS[:2], f"--config.file={config}")
    assert (again.exit_code, "0 files written" in again.output) == (0, True)


def test_thresholds_come_from_a_config_file(tmp_path: Path) -> None:
    config = write_config(
        tmp_path / "config.yaml", {"url": "http://127.0.0.1:9/"}, thresholds={"warning": 0.6, "critical": 0.8}
    )
    for arguments in (
        ["bundle", "--output", str(tmp_path / "one"), f"--config.file={config}"],
        [f"--config.file={config}", "bundle", "--output", str(tmp_path / "other")],
    ):
        assert "Amber from 60 %, red over 80 %." in CliRunner().invoke(main, arguments).output
    ran = run("--output", tmp_path / "one", f"--config.file={config}", "--warning=0.7")
    assert (ran.exit_code, "--warning and --critical do not go with it" in ran.output) == (2, True)
    config.write_text("apis: []")
    ran = run("--output", tmp_path / "one", f"--config.file={config}")
    assert (ran.exit_code, "apis: must not be empty" in ran.output) == (1, True)


# What is refused


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--warning=75"],
            "--warning must be a part of the limit, at least 0.001 and at most 1, not 75; 75 % is 0.75",
        ),
        (["--critical=95.5"], "95.5 % is 0.955"),
        (["--critical=nan"], "--critical must be a part of the limit"),
        (["--warning=0.5", "--critical=0.5"], "--warning (0.5) must be less than critical (0.5)"),
        (["--warning=0.95"], "--warning (0.95) must be less than critical (0.9)"),
        (["--warning=0.33333"], "--warning must have at most 4 decimals"),
        (["--warning=80%"], "'80%' is not a valid float"),
        (["--grafana-url=grafana.example.org"], "must begin with http:// or https:// and a host"),
        (["--grafana-url=https://"], "must begin with http:// or https:// and a host"),
        (["--grafana-url=https://admin:secret@example.org"], "must not hold a user name or password"),
        (["--grafana-url=https://example.org/?orgId=1"], "leave out ? and #"),
        (["--grafana-url=https://example.org:99999"], "is not a URL"),
        (["--runbook-url=https://example.org/a b"], "is not a URL of plain characters"),
        (["--runbook-url=https://example.org/{{ .Name }}"], "is not a URL of plain characters"),
        (["--runbook-url=https://example.org/$path"], "is not a URL of plain characters"),
    ],
)
def test_values_that_do_not_fit(flags: list[str], message: str, tmp_path: Path) -> None:
    ran = run("--output", tmp_path / "bundle", *flags)
    assert ran.exit_code == 2
    assert message in " ".join(ran.output.split())
    assert not (tmp_path / "bundle").exists()


def test_a_password_is_not_repeated(tmp_path: Path) -> None:
    assert "secret" not in run("--output", tmp_path, "--grafana-url=https://admin:secret@example.org").output


@pytest.mark.parametrize(
    "url",
    ["https://example.org", "http://localhost:3000/grafana", "http://[::1]:3000", "https://example.org/a%20b/~c"],
)
def test_addresses_that_fit(url: str) -> None:
    assert site_url(url) == site_url(f"{url}/") == url
    yaml_text = rule_files(Site(grafana=url))["alert_rules/alerts.yaml"]
    first = yaml.safe_load(yaml_text)["groups"][0]["rules"][0]
    assert first["annotations"]["dashboard_url"].startswith(f"{url}/d/api-usage?")


def test_edited_files_are_listed_and_stay_and_a_forced_run_keeps_copies(written: Path) -> None:
    edited = written / "alert_rules/alerts.yaml"
    edited.write_text("groups: []  # mine\n")
    (written / "alert_rules/more.yaml").write_text("groups: []\n")
    (written / "provisioning/prometheus/prometheus.yml").unlink()
    before = files_in(written)

    ran = run("--output", written, *FLAGS)
    assert ran.exit_code == 1
    assert "nothing was changed:\n  alert_rules/alerts.yaml\nChoose" in ran.output
    assert files_in(written) == before

    ran = run("--output", written, *FLAGS, "--force")
    assert (ran.exit_code, "2 files written" in ran.output) == (0, True)
    expected = {path: text.encode() for path, text in site_files(SITE).items()}
    kept = {"alert_rules/more.yaml": b"groups: []\n", "alert_rules/alerts.yaml.orig": b"groups: []  # mine\n"}
    assert bundle_in(written) == {**expected, **kept}

    edited.write_text("groups: []  # mine again\n")
    assert run("--output", written, "--force").exit_code == 0
    kept["alert_rules/alerts.yaml.orig.1"] = b"groups: []  # mine again\n"
    assert bundle_in(written) == {**expected, **kept}


def test_a_second_run_with_the_same_values_changes_nothing(written: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in written.rglob("*")}
    ran = run("--output", written, *FLAGS)
    assert (ran.exit_code, "0 files written" in ran.output) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in written.rglob("*")} == times


def test_what_is_in_the_way_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "provisioning").write_text("a file")
    ran = run("--output", tmp_path)
    assert ran.output == (
        f"Error: {tmp_path}/provisioning is a file, where a folder is to be; choose another --output\n"
    )
    (tmp_path / "provisioning").unlink()
    (tmp_path / "alert_rules/alerts.yaml").mkdir(parents=True)
    ran = run("--output", tmp_path, "--force")
    assert f"{tmp_path}/alert_rules/alerts.yaml is a folder, where a file is to be" in ran.output
    assert files_in(tmp_path) == {}


def test_a_folder_that_cannot_be_written_to_is_one_line() -> None:
    ran = run("--output=/proc/bundle")
    assert ran.exit_code == 1
    assert ran.output == "Error: cannot write /proc/bundle/alert_rules/alerts.yaml: No such file or directory\n"


def test_help_teaches_by_example() -> None:
    text = run("--help").output
    assert "bundle --output=monitoring --grafana-url=https://grafana.example.org" in text
    assert "[default: what --output was written with, else 0.75]" in " ".join(text.split())
