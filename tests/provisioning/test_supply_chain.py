"""The lock file: whole, hashed, and of this project's dependencies."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.programs import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
LOCKED = {canonicalize_name(name): (version, rest) for name, version, rest in ENTRY.findall(LOCK)}


def test_every_dependency_is_locked_to_a_version_that_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for text in (*project["dependencies"], *project["optional-dependencies"]["aws"]):
        wanted = Requirement(text)
        assert canonicalize_name(wanted.name) in LOCKED, f"{wanted.name} is not locked: make lock"
        version, _ = LOCKED[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(version), f"{wanted} does not allow the locked {version}: make lock"


def test_every_locked_package_has_hashes_and_nothing_names_an_index() -> None:
    assert len(LOCKED) > 20
    for name, (_, rest) in LOCKED.items():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", rest), name
    assert "://" not in LOCK
    assert "--index" not in LOCK
