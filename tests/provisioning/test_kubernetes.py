"""provisioning/kubernetes: each file against Kubernetes' own API, what kustomize makes of them, and the pod as it runs.

What needs kustomize is skipped where neither kubectl nor kustomize is installed; the files themselves never are.
"""

import json
import re
import shutil
import subprocess
import textwrap
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click.testing import CliRunner
from werkzeug.wrappers import Response

from exporter.bundle.kubernetes import PROMETHEUS_RULE, prometheus_rule
from exporter.cli import main
from exporter.local.processes import Processes, eventually
from tests.support.factories import answer
from tests.support.http import Vendor
from tests.support.programs import ROOT, start_exporter
from tests.support.promtool import RULE_FILES, groups, promtool

Json = dict[str, Any]
FOLDER = ROOT / "provisioning/kubernetes"
OVERLAYS = ("example", "shards")
CONFIG_FOLDER = "/etc/api-usage-exporter"
TOKENS_FOLDER = "/run/secrets/api-usage-exporter"
# https://kubernetes.io/docs/concepts/configuration/configmap/
LARGEST_CONFIG_MAP = 1024 * 1024
# https://kubernetes.io/docs/reference/kubectl/generated/kubectl_apply: of all annotations, the object's last state one.
LARGEST_ANNOTATIONS = 256 * 1024


def documents(file: Path) -> list[Json]:
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


RESOURCES = sorted(file for file in FOLDER.rglob("*.yaml") if file.name not in ("kustomization.yaml", "config.yaml"))
KUSTOMIZATIONS = [ROOT / "dashboards/json/kustomization.yaml", *FOLDER.rglob("kustomization.yaml")]


# --- the rules


def test_the_prometheus_rule_holds_the_rules_as_they_are() -> None:
    (resource,) = documents(ROOT / PROMETHEUS_RULE)
    assert resource["kind"] == "PrometheusRule"
    assert resource["spec"]["groups"] == groups(*sorted(RULE_FILES))


def test_promtool_accepts_the_prometheus_rule_s_groups(tmp_path: Path) -> None:
    (resource,) = documents(ROOT / PROMETHEUS_RULE)
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(resource["spec"], allow_unicode=True), encoding="utf-8")
    promtool("check", "rules", str(tmp_path / "rules.yaml"))


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        ({"a.yaml": "[]"}, "a.yaml is not a rule file"),
        ({"a.yaml": "spec: {groups: []}"}, "a.yaml is not a rule file"),
        (
            dict.fromkeys(("a.yaml", "b.yaml"), "groups: [{name: one, rules: []}]"),
            "more than one group is called one",
        ),
    ],
    ids=["list", "resource", "twice"],
)
def test_what_cannot_be_one_prometheus_rule_is_refused(texts: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        prometheus_rule(texts)


# --- the files


def check(resource: Json) -> None:
    """Hold it against the model of its kind; fails on unknown fields as well."""
    group, _, version = resource["apiVersion"].rpartition("/")
    package = {
        "": "kubernetes.core",
        "apps": "kubernetes.apps",
        "monitoring.coreos.com": "prometheus_operator",
    }[group]
    model = getattr(import_module(f"cloudcoil.models.{package}.{version}"), resource["kind"])
    model.model_validate_json(json.dumps(resource), strict=True, extra="forbid")


@pytest.mark.parametrize("file", RESOURCES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_every_file_is_what_kubernetes_knows(file: Path) -> None:
    (resource,) = documents(file)
    check(resource)


def test_what_kubernetes_does_not_know_is_found() -> None:
    (deployment,) = documents(FOLDER / "base/exporter/deployment.yaml")
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(ValueError, match="readinesProbe"):
        check(deployment)


@pytest.mark.parametrize("file", KUSTOMIZATIONS, ids=lambda file: str(file.relative_to(ROOT)))
def test_kustomizations_name_what_there_is(file: Path) -> None:
    (kustomization,) = documents(file)
    for name in kustomization.get("resources", []) + kustomization.get("components", []):
        named = file.parent / name
        assert named.is_file() or (named / "kustomization.yaml").is_file(), name
        assert named.is_dir() or file.parent.resolve() in named.resolve().parents, f"{name}: kustomize refuses it"
    for generator in kustomization.get("configMapGenerator", []):
        assert all((file.parent / name).is_file() for name in generator["files"])


def test_every_dashboard_is_in_a_config_map_with_the_sidecar_s_label() -> None:
    (kustomization,) = documents(ROOT / "dashboards/json/kustomization.yaml")
    listed = [name for generator in kustomization["configMapGenerator"] for name in generator["files"]]
    assert sorted(listed) == sorted(path.name for path in (ROOT / "dashboards/json").glob("*.json"))
    assert kustomization["generatorOptions"]["labels"] == {"grafana_dashboard": "1"}


def test_versions_are_the_project_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for part in ("exporter", "monitoring"):
        (kustomization,) = documents(FOLDER / f"base/{part}/kustomization.yaml")
        (labels,) = kustomization["labels"]
        assert labels["pairs"]["app.kubernetes.io/version"] == project["version"]
    (deployment,) = documents(FOLDER / "base/exporter/deployment.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{project['name']}:{project['version']}"


# --- what kustomize makes of them


@cache
def built(folder: Path) -> list[Json]:
    """The resources of a kustomization; skips the test where nothing can build it."""
    if kustomize := shutil.which("kustomize"):
        command = [kustomize, "build"]
    elif kubectl := shutil.which("kubectl"):
        command = [kubectl, "kustomize"]
    else:
        pytest.skip("neither kubectl nor kustomize is installed")
    ran = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "deprecated" not in ran.stderr
    return list(yaml.safe_load_all(ran.stdout))


def of_kind(resources: list[Json], kind: str) -> list[Json]:
    return [resource for resource in resources if resource["kind"] == kind]


def names(resources: list[Json]) -> set[tuple[str, str]]:
    return {(resource["kind"], resource["metadata"]["name"]) for resource in resources}


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> list[Json]:
    return built(FOLDER / "overlays" / request.param)


def test_the_example_has_all_there_is_to_have() -> None:
    assert names(built(FOLDER / "overlays/example")) == {
        ("Namespace", "api-usage"),
        ("ConfigMap", "api-usage-exporter-config"),
        ("ConfigMap", "api-usage-exporter-dashboard-usage"),
        ("ConfigMap", "api-usage-exporter-dashboard-overview"),
        ("ConfigMap", "api-usage-exporter-dashboard-exporter"),
        ("Deployment", "api-usage-exporter"),
        ("PersistentVolumeClaim", "api-usage-exporter"),
        ("PrometheusRule", "api-usage-exporter"),
        ("Service", "api-usage-exporter"),
        ("ServiceMonitor", "api-usage-exporter"),
    }


def test_what_is_built_is_what_kubernetes_knows(overlay: list[Json]) -> None:
    for resource in overlay:
        check(resource)


def test_the_dashboards_are_in_the_config_maps_as_they_are() -> None:
    held = {
        name: text
        for config_map in of_kind(built(FOLDER / "overlays/example"), "ConfigMap")
        if config_map["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, text in config_map["data"].items()
    }
    assert held == {path.name: path.read_text("utf-8") for path in (ROOT / "dashboards/json").glob("*.json")}


def test_nothing_is_too_large_for_kubectl_apply(overlay: list[Json]) -> None:
    """Which keeps each resource as an annotation of itself, unless it is told --server-side."""
    for resource in overlay:
        size = len(json.dumps(resource).encode())
        assert size < 0.75 * LARGEST_ANNOTATIONS, resource["metadata"]["name"]
        assert size < 0.75 * LARGEST_CONFIG_MAP


def test_pods_are_as_restricted_as_pod_security_asks(overlay: list[Json]) -> None:
    for deployment in of_kind(overlay, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10190
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"].keys() == {"memory"}
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert not any("hostPath" in volume for volume in pod["volumes"])


def selected(selector: Json, labels: Json) -> bool:
    return selector.items() <= labels.items()


def test_each_service_selects_one_deployment_and_the_monitor_selects_every_service(overlay: list[Json]) -> None:
    deployments, services = of_kind(overlay, "Deployment"), of_kind(overlay, "Service")
    (monitor,) = of_kind(overlay, "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert len(services) == len(deployments)
    chosen = []
    for service in services:
        assert selected(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])
        assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "api-usage-exporter"
        assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
        pods = [deployment["spec"]["template"]["metadata"]["labels"] for deployment in deployments]
        (pod,) = [labels for labels in pods if selected(service["spec"]["selector"], labels)]
        chosen.append(pod)
    assert len({json.dumps(pod) for pod in chosen}) == len(deployments)


def test_shards_have_a_volume_and_a_target_label_each() -> None:
    resources = built(FOLDER / "overlays/shards")
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for deployment in of_kind(resources, "Deployment")
        for volume in deployment["spec"]["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == {claim["metadata"]["name"] for claim in of_kind(resources, "PersistentVolumeClaim")}
    assert len(claims) == 2
    (monitor,) = of_kind(resources, "ServiceMonitor")
    (label,) = monitor["spec"]["targetLabels"]
    shards = [service["metadata"]["labels"][label] for service in of_kind(resources, "Service")]
    arguments = [exporter_of(deployment)["args"][-1] for deployment in of_kind(resources, "Deployment")]
    assert arguments == [f"--shard={shard}/{len(shards)}" for shard in shards]


def exporter_of(deployment: Json) -> Json:
    container: Json = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


def test_an_overlay_in_a_bundle_has_the_site_s_thresholds(tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, ["bundle", f"--output={tmp_path}", "--warning=0.8"])
    assert ran.exit_code == 0, ran.output
    resources = built(tmp_path / "provisioning/kubernetes/overlays/example")
    assert names(resources) == names(built(FOLDER / "overlays/example"))
    (rule,) = of_kind(resources, "PrometheusRule")
    band = "scope:api_usage_requests_per_limit:band"
    (ladder,) = [one for group in rule["spec"]["groups"] for one in group["rules"] if one.get("record") == band]
    assert "ratio_near, 0.8, 0.8)" in ladder["expr"]


# --- the pod as it runs


def test_the_exporter_takes_the_pods_arguments_and_the_example_s_config(overlay: list[Json], tmp_path: Path) -> None:
    config = (FOLDER / "overlays/example/config.yaml").read_text(encoding="utf-8")
    assert TOKENS_FOLDER in config
    (tmp_path / "maps-token").write_text("secret\n", encoding="utf-8")
    (tmp_path / "config.yaml").write_text(config.replace(TOKENS_FOLDER, str(tmp_path)), encoding="utf-8")
    for deployment in of_kind(overlay, "Deployment"):
        container = exporter_of(deployment)
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {CONFIG_FOLDER, TOKENS_FOLDER, "/var/lib/api-usage-exporter"} <= mounted
        arguments = [argument.replace(CONFIG_FOLDER, str(tmp_path)) for argument in container["args"]]
        ran = CliRunner().invoke(main, [*arguments, "--config.check"])
        assert "fine, 2 organisations to watch" in ran.output, ran.output


def test_a_changed_config_map_and_secret_are_taken_over(vendor: Vendor, processes: Processes, tmp_path: Path) -> None:
    """Mounted as the kubelet does it: names that lead through ..data, which is exchanged in one step."""
    (deployment,) = documents(FOLDER / "base/exporter/deployment.yaml")
    container = exporter_of(deployment)
    vendor.answer = lambda _: Response(json.dumps(answer()), mimetype="application/json")
    tokens, config = tmp_path / "tokens", tmp_path / "config"
    mount(tokens, "1", {"token": "first"})
    mount(config, "1", {"config.yaml": config_of(vendor.url, tokens / "token", "Acme")})
    exporter = start_exporter(processes, config / "config.yaml")
    for probe in ("livenessProbe", "readinessProbe"):
        assert requests.get(exporter + container[probe]["httpGet"]["path"], timeout=5).status_code == 200

    mount(tokens, "2", {"token": "second"})
    eventually(lambda: vendor.requests[-1].headers["Authorization"] == "Bearer second")
    mount(config, "2", {"config.yaml": config_of(vendor.url, tokens / "token", "Bolt")})
    assert requests.post(f"{exporter}/-/reload", timeout=5).status_code == 200
    eventually(lambda: 'organisation="Bolt",scope="Maps"' in requests.get(f"{exporter}/metrics", timeout=5).text)


def config_of(url: str, token: Path, organisation: str) -> str:
    api = {
        "name": "maps",
        "preset": "standard",
        "url": f"{url}/{{organisation_id}}",
        "auth": {"type": "bearer", "token": {"file": str(token)}},
        "poll_interval": "1s",
        "organisations": [{"id": organisation.lower(), "name": organisation}],
    }
    return yaml.safe_dump({"min_poll_interval": "1s", "apis": [api]})


def mount(folder: Path, version: str, files: dict[str, str]) -> None:
    (folder / f"..{version}").mkdir(parents=True)
    for name, text in files.items():
        (folder / f"..{version}" / name).write_text(text, encoding="utf-8")
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..data_tmp").symlink_to(f"..{version}")
    (folder / "..data_tmp").replace(folder / "..data")


# --- the docs


def test_the_docs_replicas_have_a_volume_each(tmp_path: Path) -> None:
    page = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"(?<=\n\n)    replicas:\n(?: {4}.*\n)+", page)
    # A copy, since kustomize takes folders by relative paths only.
    shutil.copytree(ROOT / "dashboards/json", tmp_path / "dashboards/json")
    copy = shutil.copytree(FOLDER, tmp_path / "provisioning/kubernetes")
    file = copy / "overlays/example/kustomization.yaml"
    file.write_text(file.read_text(encoding="utf-8") + textwrap.dedent(block), encoding="utf-8")
    resources = built(file.parent)
    for resource in resources:
        check(resource)
    (deployment,) = of_kind(resources, "Deployment")
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["strategy"] == {"type": "RollingUpdate"}
    (storage,) = [one for one in deployment["spec"]["template"]["spec"]["volumes"] if one["name"] == "storage"]
    assert storage.keys() == {"name", "ephemeral"}
    assert not of_kind(resources, "PersistentVolumeClaim")
