"""The manifest in a bundle's folder: what was written there, and with which values.

By it, a later run knows a file that nobody has edited from one that somebody has, takes away what a newer version no
longer has, and keeps the site's addresses and thresholds where its flags are left out.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from exporter.bundle.files import DASHBOARDS, PROVISIONING, RULES, site_url
from exporter.errors import BundleError

MANIFEST = "bundle-manifest.json"


def checksum(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _path_of_a_bundle(path: str) -> str:
    """Since files are removed by what a manifest says, it may name none outside of the bundle's own folders."""
    parts = PurePosixPath(path).parts
    plain = "/".join(parts) == path and ".." not in parts and path.isprintable()
    if not plain or not path.startswith((f"{RULES}/", f"{DASHBOARDS}/", f"{PROVISIONING}/")):
        raise ValueError("is no path of a file of a bundle")
    return path


class SiteValues(BaseModel):
    """A site's own addresses and thresholds, as the flags give them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    grafana_url: Annotated[str, AfterValidator(site_url)]
    runbook_url: Annotated[str, AfterValidator(site_url)]
    warning: float
    critical: float


class Manifest(BaseModel):
    """files: the checksum of what was written, by path; site-owned files too, as they were at first."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = 1
    written_by: str
    site: SiteValues
    files: Mapping[
        Annotated[str, AfterValidator(_path_of_a_bundle)], Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    ]

    def text(self) -> str:
        document = {**self.model_dump(), "files": dict(sorted(self.files.items()))}
        return json.dumps(document, indent=2) + "\n"


def read_manifest(folder: Path) -> Manifest | None:
    """None where there is none. Raises BundleError where it cannot be used."""
    file = folder / MANIFEST
    if not os.path.lexists(file):
        return None
    if not file.is_file():
        raise BundleError(f"{file} is no file; choose another --output")
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BundleError(f"cannot read {file}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        wrong = ": ".join([*map(str, first["loc"]), first["msg"]])
        raise BundleError(
            f"{file} is no manifest that this version can read: {wrong}. It may be half written, or of a newer "
            "version. Without it, every file that differs counts as edited: move it away to go on like that."
        ) from None
