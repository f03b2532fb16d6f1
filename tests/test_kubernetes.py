"""provisioning/kubernetes: the rules as a PrometheusRule, the dashboards as ConfigMaps, and the exporter itself."""

from pathlib import Path

import pytest
import yaml

from exporter.kubernetes import PROMETHEUS_RULE, prometheus_rule
from tests.support.programs import ROOT
from tests.support.promtool import RULE_FILES, groups, promtool


def test_the_prometheus_rule_holds_the_rules_as_they_are() -> None:
    resource = yaml.safe_load((ROOT / PROMETHEUS_RULE).read_text(encoding="utf-8"))
    assert resource["kind"] == "PrometheusRule"
    assert resource["spec"]["groups"] == groups(*sorted(RULE_FILES))


def test_promtool_accepts_the_prometheus_rule_s_groups(tmp_path: Path) -> None:
    spec = yaml.safe_load((ROOT / PROMETHEUS_RULE).read_text(encoding="utf-8"))["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec, allow_unicode=True), encoding="utf-8")
    promtool("check", "rules", str(tmp_path / "rules.yaml"))


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        ({"a.yaml": "[]"}, "a.yaml is not a rule file"),
        ({"a.yaml": "spec: {groups: []}"}, "a.yaml is not a rule file"),
        (dict.fromkeys(("a.yaml", "b.yaml"), "groups: [{name: one, rules: []}]"), "more than one group is called one"),
    ],
    ids=["list", "resource", "twice"],
)  # fmt: skip
def test_what_cannot_be_one_prometheus_rule_is_refused(texts: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        prometheus_rule(texts)
