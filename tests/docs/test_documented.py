"""Everything that has a name which users type or read is documented under that name."""

import re
from pathlib import Path

import click
import pytest

from kube_registrar.cli.main import COMMANDS, cli
from kube_registrar.declared.settings import SETTINGS, Setting
from kube_registrar.model.simulation import KEYS
from kube_registrar.registries.cloudmap import options as cloudmap
from kube_registrar.registries.consul import options as consul
from kube_registrar.registries.embedded import options as embedded
from kube_registrar.registries.etcd import options as etcd
from kube_registrar.runtime.metrics import Metrics, WatchState

ROOT = Path(__file__).resolve().parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows_of(name: str) -> list[list[str]]:
    """Return the cells of all tables of a page."""
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in read(name).splitlines() if line.startswith("|")]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_has_a_row_with_its_key_flag_variable_and_default(setting: Setting) -> None:
    names = {setting.flag, setting.variable} | (set() if setting.is_shorthand else {setting.key})
    (row,) = (
        row
        for row in rows_of("docs/configuration.md")
        if all(any(re.search(rf"`{name}[` ]", cell) for cell in row) for name in names - {""})
        and len(row) == (3 if setting.is_shorthand else 5)
        and (setting.flag or row[0].strip() == f"`{setting.key}`")
    )
    default = setting.default
    if not setting.is_shorthand and isinstance(default, str | int) and default != "":
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        assert row[3].strip() == f"`{shown}`"


def test_every_row_of_settings_is_a_setting() -> None:
    known = {setting.key for setting in SETTINGS if not setting.is_shorthand}
    keys = {row[0].strip().strip("`") for row in rows_of("docs/configuration.md") if len(row) == 5}
    assert keys - {"", "key in the file", "---"} == known


@pytest.mark.parametrize(
    ("section", "options"),
    [
        ("kind: cloudmap", cloudmap._NAMES),
        ("kind: consul", consul._NAMES),
        ("kind: embedded", embedded.KNOWN),
        ("kind: etcd", etcd.KNOWN),
        ("`simulate` is text", KEYS),
    ],
)
def test_every_option_of_a_registry_has_a_row(section: str, options: tuple[str, ...]) -> None:
    text = read("docs/configuration.md").partition(section)[2]
    for option in options:
        assert f"`{option}`" in text


def test_every_command_and_its_own_flags_are_documented() -> None:
    text = read("docs/cli.md") + read("docs/demo.md")
    settings = {setting.flag for setting in SETTINGS} | {"--config"}
    context = click.Context(cli)
    for name in COMMANDS:
        assert f"`kube-registrar {name}" in text
        command = cli.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                own = [flag for flag in parameter.opts if flag.startswith("--")]
                assert all(flag in settings or flag in text for flag in own), own


def test_every_metric_has_a_row_with_its_type_and_labels_and_every_row_is_a_metric() -> None:
    metrics = Metrics("0")
    metrics.read_watches(lambda: [WatchState("Pod", 0, 0.0)])
    metrics.read_events_dropped(lambda: 0)
    metrics.read_dns_queries(lambda: [("A", "NOERROR", 1)])
    metrics.read_health_checks(lambda: {"passed": 1})
    metrics.answers.count("DiscoverInstances", "ok", 0.0)
    documented = {
        row[0].strip().strip("`"): (row[1].strip(), tuple(re.findall(r"`(\w+)`", row[2])))
        for row in rows_of("docs/metrics.md")
        if row[0].strip().startswith("`")
    }
    existing = {}
    for family in metrics.registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = metrics.registry._names_to_collectors.get(family.name)
        names = getattr(labels, "_labelnames", None)
        if names is None:  # read from elsewhere
            names = tuple(label for label in family.samples[0].labels if label != "le")
        existing[name] = (family.type, tuple(names))
    assert documented == existing


@pytest.mark.parametrize(
    "page",
    sorted(
        str(path.relative_to(ROOT))
        for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"))
    ),
)
def test_every_link_leads_to_a_page_that_exists(page: str) -> None:
    text = read(page)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        found = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert found.exists(), f"{page} leads to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{page} leads to {target}"


def test_no_page_has_the_marks_of_a_merge() -> None:
    marks = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)
    pages = (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"))
    assert [path.name for path in pages if marks.search(path.read_text(encoding="utf-8"))] == []


def test_every_page_is_in_the_table_of_contents() -> None:
    linked = set(re.findall(r"\]\(([^)#\s]+)", read("docs/README.md")))
    pages = {path.name for path in ROOT.glob("docs/*.md")} - {"README.md"}
    assert pages - linked == set()


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), flags=re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md", "docs/demo.md"):
        named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", read(page)))
        assert named <= targets
