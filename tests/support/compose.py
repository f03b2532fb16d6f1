"""docker-compose.yml run without containers: its commands, flags, files and health checks, on this machine's programs.

Each service gets a folder that stands for its container's file system. What the compose file says of places in a
container, `/etc/prometheus/rules` or `alertmanager:9093`, becomes a path below that folder or a free port of
127.0.0.1, in the commands as in the mounted files; nothing else is changed.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from exporter.local.ports import free_port
from exporter.local.processes import Processes, required
from tests.support.programs import ROOT

DEMO = dict(re.findall(r"(?m)^([A-Z_]+)=(.*)$", (ROOT / ".env").read_text("utf-8")))
_IMAGES = {"prom/prometheus": ["prometheus"], "prom/alertmanager": ["alertmanager", "prometheus-alertmanager"]}


def services(environment: Mapping[str, str] = DEMO) -> dict[str, dict[str, Any]]:
    """The services that `docker compose up` starts with these variables, by name."""
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    text = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: environment.get(found[1]) or found[2], text)
    profiles = set(environment.get("COMPOSE_PROFILES", "").split(","))
    known = yaml.safe_load(text)["services"]
    return {name: one for name, one in known.items() if not one.get("profiles") or profiles & set(one["profiles"])}


@dataclass(frozen=True)
class Container:
    """A service as it runs here. port: the local one. places: what to replace in texts, longest first."""

    name: str
    service: Mapping[str, Any]
    folder: Path
    port: int
    places: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def local(self, text: str) -> str:
        """The text with this machine's paths and addresses."""
        # A path or a port is one only where no other path or host goes before it.
        begin = {place: r"(?<![\w/])" if place[0] in "/:" else r"\b" for place in self.places}
        any_of_them = "|".join(begin[place] + re.escape(place) for place in self.places)
        return re.sub(rf"(?:{any_of_them})(?![\w-])", lambda found: self.places[found[0]], text)

    def path(self, inside: str) -> Path:
        """Where a path of the container is here."""
        return self.folder / inside.lstrip("/")

    def mount(self) -> None:
        """Make its volumes, and copy what is mounted, with local texts."""
        for source, target, *_ in (volume.split(":") for volume in self.service.get("volumes", ())):
            if "/" in source:
                self._copy(ROOT / source, self.path(target))
            else:
                self.path(target).mkdir(parents=True, exist_ok=True)

    def _copy(self, source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
        for file in [target, *target.rglob("*.y*ml")]:
            if file.is_file():
                file.write_text(self.local(file.read_text("utf-8")), encoding="utf-8")

    def command(self, grafana_home: Path | None) -> list[str]:
        """Its program here, with the compose file's own arguments."""
        image = self.service["image"].partition(":")[0]
        arguments = [self.local(text) for text in self.service.get("command", ())]
        if image == "grafana/grafana":
            assert grafana_home
            return [str(grafana_home / "bin/grafana"), "server", "--homepath", str(grafana_home)]
        if image == "api-usage-exporter":
            entrypoint = self.service.get("entrypoint", ["python", "-m", "exporter"])
            return [sys.executable, *entrypoint[1:], *arguments]
        return [required(*_IMAGES[image]), *arguments]

    def environment(self) -> dict[str, str]:
        """The compose file's, beside what Grafana's image sets for itself."""
        paths = {"DATA": "/var/lib/grafana", "LOGS": "/var/log/grafana", "PLUGINS": "/var/lib/grafana/plugins"}
        image = {f"GF_PATHS_{name}": str(self.path(path)) for name, path in paths.items()}
        image["GF_PATHS_PROVISIONING"] = str(self.path("/etc/grafana/provisioning"))
        image |= {"GF_SERVER_HTTP_ADDR": "127.0.0.1", "GF_SERVER_HTTP_PORT": str(self.port)}
        own = {name: self.local(value) for name, value in self.service.get("environment", {}).items()}
        return {**os.environ, **image, **own}

    def health(self) -> str:
        """The URL that its health check asks."""
        check = self.service.get("healthcheck", {}).get("test") or _image_health_check()
        found = re.search(r"http://localhost:\d+[\w/-]*", " ".join(check))
        # promtool asks a URL of its own, unless it is told another.
        return self.local(found[0] if found else "http://localhost:9090/-/ready")


def _image_health_check() -> list[str]:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    return [line for line in text.splitlines() if line.startswith("  CMD ")]


def containers(folder: Path, *names: str, environment: Mapping[str, str] = DEMO) -> dict[str, Container]:
    """These services, or all, with free ports; nothing is started."""
    known = {name: one for name, one in services(environment).items() if not names or name in names}
    ports = {name: free_port(0, "") for name in known}
    return {
        name: Container(name, one, folder / name, ports[name], _places(name, known, ports, folder / name))
        for name, one in known.items()
    }


def _places(
    name: str, known: Mapping[str, Mapping[str, Any]], ports: Mapping[str, int], folder: Path
) -> dict[str, str]:
    inside = {other: one["ports"][0].rpartition(":")[2] for other, one in known.items()}
    neighbours = {f"{other}:{port}": f"127.0.0.1:{ports[other]}" for other, port in inside.items()}
    own = {f"localhost:{inside[name]}": f"127.0.0.1:{ports[name]}", f":{inside[name]}": f"127.0.0.1:{ports[name]}"}
    targets = [volume.split(":")[1] for volume in known[name].get("volumes", ())]
    paths = {target: f"{folder}{target}" for target in targets}
    return dict(sorted({**neighbours, **own, **paths}.items(), key=lambda item: -len(item[0])))


def start(processes: Processes, running: Mapping[str, Container], grafana_home: Path | None = None) -> None:
    """Start them in the compose file's order, each once those before it are healthy."""
    for name in _in_order(running):
        container = running[name]
        container.mount()
        processes.start(name, container.command(grafana_home), environment=container.environment())
        processes.wait_ready(name, container.health())


def _in_order(running: Mapping[str, Container]) -> Iterator[str]:
    before = {name: set(one.service.get("depends_on", ())) & set(running) for name, one in running.items()}
    yield from TopologicalSorter(before).static_order()
