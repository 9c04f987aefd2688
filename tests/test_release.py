"""What a release is called: the version, CHANGELOG.md and the tag agree."""

import configparser
import os
import re
import subprocess
import sys

import pytest
from helpers import ROOT

from e2e_art._version import __version__

HEADING = re.compile(r"^## \[(\d+\.\d+\.\d+)\](?: - (\d{4}-\d\d-\d\d))?$", re.MULTILINE)  # keepachangelog.com
RELEASING = "E2E_ART_RELEASE" in os.environ  # as `make release` sets it


def newest() -> tuple[str, str]:
    """Returns the version and the date, if any, of the newest heading of CHANGELOG.md."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## .*$", text, re.MULTILINE)
    if headings[0] == "## [Unreleased]" and not RELEASING:
        del headings[0]
    assert all(map(HEADING.match, headings)), headings
    return HEADING.match(headings[0]).groups()


def git(*words) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()


def test_the_newest_heading_is_the_version():
    assert newest()[0] == __version__


def test_the_version_stands_in_one_place():
    program = "import setuptools; setuptools.setup()"
    said = subprocess.run([sys.executable, "-c", program, "--version"], cwd=ROOT, capture_output=True, text=True)
    assert said.stdout.split()[-1] == __version__, said.stderr


def test_every_package_is_installed():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    found = {str(file.parent.relative_to(ROOT)).replace(os.sep, ".") for file in ROOT.glob("e2e_art/**/__init__.py")}
    assert set(settings["options"]["packages"].split()) == found | {"e2e_art.pretrained"}


def test_a_tag_is_the_version():
    tag = git("describe", "--tags", "--exact-match", "--match", "v[0-9]*")
    if not (tag or RELEASING):
        pytest.skip("nothing is tagged here")
    assert tag == f"v{__version__}", f"tag what is released: git tag v{__version__}"
    assert newest()[1], "CHANGELOG.md does not say when"
    assert not (RELEASING and git("status", "--porcelain")), "commit what is released"
