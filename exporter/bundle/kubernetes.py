"""The alert rules as a PrometheusRule, for Prometheus Operator. Imports nothing of the exporter."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

# Where it is kept, from the project's root; a kustomization beside it names it.
PROMETHEUS_RULE = Path("provisioning/kubernetes/base/monitoring/prometheus-rule.yaml")

_HEADER = "# Made by `make generate` from the Python in alert_rules/.\n"


class _Dumper(yaml.SafeDumper):
    """Expressions as literal blocks, as in the rule files, and no anchors."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def prometheus_rule(texts: Mapping[str, str]) -> str:
    """One PrometheusRule, in YAML, with the groups of all rule files.

    texts: the files' YAML by file name; groups come in the order of the names. Raises ValueError where a file is no
    rule file, or two groups have one name.
    """
    groups = [group for name in sorted(texts) for group in _groups(name, texts[name])]
    twice = [name for name, count in Counter(group["name"] for group in groups).items() if count > 1]
    if twice:
        raise ValueError(f"more than one group is called {', '.join(twice)}")
    document = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "api-usage-exporter"},
        "spec": {"groups": groups},
    }
    return _HEADER + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=118)


def _groups(name: str, text: str) -> list[dict[str, Any]]:
    document = yaml.safe_load(text)
    if not isinstance(document, dict) or set(document) != {"groups"}:
        raise ValueError(f"{name} is not a rule file: `groups` and nothing else stands at its top")
    groups: list[dict[str, Any]] = document["groups"]
    return groups
