"""What the Dockerfile, the chart and the release say of the image is one thing."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.chart.helm import CHART, ROOT
from tools import image_tree, release_notes

DOCKERFILE = (ROOT / "Dockerfile").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_its_user_is_the_chart_s() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    user, group = (values["podSecurityContext"][key] for key in ("runAsUser", "runAsGroup"))
    assert f"\nUSER {user}:{group}\n" in DOCKERFILE
    assert f'\nENTRYPOINT ["/{image_tree.COMMAND}"]\n' in DOCKERFILE


def test_its_bytecode_is_of_the_python_of_its_base() -> None:
    (build,) = re.findall(r"^ARG BUILD_IMAGE=\S+/python:([\d.]+)-", DOCKERFILE, re.MULTILINE)
    (debian,) = re.findall(r"^ARG RUNTIME_IMAGE=\S+/python3-debian(\d+):nonroot$", DOCKERFILE, re.MULTILINE)
    assert build == image_tree.PYTHON == {"13": "3.13"}[debian]


def test_what_it_copies_is_let_through() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    copied = re.search(r"^COPY ((?:requirements/\S+ )+)requirements/$", DOCKERFILE, re.MULTILINE)
    assert copied is not None
    assert set(copied[1].split()) <= allowed
    assert all((ROOT / each).exists() for each in allowed)
    assert {"src", "crds", "examples/quickstart", "pyproject.toml", "requirements/run.txt"} <= allowed


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_s_actions_are_commits_and_its_rights_are_named(path: Path) -> None:
    uses = re.findall(r"uses: (\S+)(.*)", path.read_text())
    assert len(uses) > 3
    for action, comment in uses:
        assert action.startswith("./") or re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action), action
        assert action.startswith("./") or re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    assert all(job["permissions"] for job in workflow["jobs"].values())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of version 0.1.0 with a changelog."""
    (tmp_path / "Chart").mkdir()
    for name in ("pyproject.toml", "Chart/Chart.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "CHANGELOG.md").write_text("## 0.2.0 (later)\n\nmore\n\n## 0.1.0 (2026-01-01)\n\n### Added\n\n- all\n")
    return tmp_path


def test_the_notes_of_a_release_are_its_part_of_the_changelog(tree: Path) -> None:
    assert release_notes.notes("v0.1.0", tree) == "### Added\n\n- all"


@pytest.mark.parametrize(
    ("file", "found", "made", "said"),
    [
        (
            "pyproject.toml",
            "0.1.0",
            "0.1.1",
            "version in pyproject.toml is 0.1.1 and the tag is v0.1.0: set it to 0.1.0",
        ),
        ("Chart/Chart.yaml", "appVersion: 0.1.0", "appVersion: 0.0.9", "appVersion in Chart/Chart.yaml is 0.0.9 and"),
        ("CHANGELOG.md", "## 0.1.0", "## 0.1.0rc1", "CHANGELOG.md has no section 0.1.0: run `make changelog`"),
    ],
)
def test_a_tag_that_the_tree_contradicts_is_no_release(tree: Path, file: str, found: str, made: str, said: str) -> None:
    text = (tree / file).read_text()
    assert found in text
    (tree / file).write_text(text.replace(found, made))
    with pytest.raises(release_notes.Disagreement) as caught:
        release_notes.notes("v0.1.0", tree)
    assert said in str(caught.value)
