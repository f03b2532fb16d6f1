"""The demo's ports. Standard library only: `make demo` looks at them before it sets anything up.

python -m exporter.demo.ports
"""

import os
import shutil
import sys
from collections.abc import Mapping

from exporter.errors import StartError
from exporter.local.ports import free_port

DEFAULTS = {"exporter": 10190, "vendor": 10191, "prometheus": 9090, "alertmanager": 9093, "receiver": 10192}
# These run where they are installed, by one of these names.
PROGRAMS = {"prometheus": ("prometheus",), "alertmanager": ("alertmanager", "prometheus-alertmanager")}


def free_ports(wanted: Mapping[str, int]) -> dict[str, int]:
    """By part, the wanted ports, or any free ones for 0; 0 of what is not installed. Raises StartError."""
    return {part: free_port(port, _flag(part)) if _runs(part) else 0 for part, port in wanted.items()}


def _runs(part: str) -> bool:
    return part not in PROGRAMS or any(map(shutil.which, PROGRAMS[part]))


def _flag(part: str) -> str:
    """As whoever started the demo writes it."""
    return f"make demo DEMO_FLAGS=--{part}.port" if "DEMO_BY_MAKE" in os.environ else f"--{part}.port"


if __name__ == "__main__":
    try:
        free_ports(DEFAULTS)
    except StartError as error:
        sys.exit(f"demo: {error}")
