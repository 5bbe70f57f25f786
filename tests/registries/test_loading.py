"""Backends by name, and what a user reads when one is not there or is broken."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from kube_registrar.model.errors import UserError
from kube_registrar.registries import loading
from kube_registrar.registries.port import ENTRY_POINT_GROUP


def installed_are(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    all_points = EntryPoints(EntryPoint(name, value, ENTRY_POINT_GROUP) for name, value in points.items())
    monkeypatch.setattr(loading, "entry_points", lambda group: all_points.select(group=group))


def test_our_own_kinds_are_installed() -> None:
    assert {"cloudmap", "embedded"} <= set(loading.installed())
    assert callable(loading.load("cloudmap"))


def test_an_unknown_kind_is_told_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    installed_are(monkeypatch, embedded="a:b", cloudmap="a:b")
    with pytest.raises(UserError) as caught:
        loading.load("cloudmpa")
    assert str(caught.value) == (
        "registry kind 'cloudmpa' is not installed; installed: cloudmap, embedded. "
        "Choose one of these, or install the package that brings it"
    )


def test_a_kind_that_cannot_be_imported_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    installed_are(monkeypatch, zoo="no_such_package_at_all:open_registry", odd="math:pi", gone="math:nothing")
    with pytest.raises(UserError, match=r"'zoo' of package no_such_package_at_all cannot be loaded .*No module named"):
        loading.load("zoo")
    with pytest.raises(UserError, match=r"'gone' of package math cannot be loaded from math:nothing"):
        loading.load("gone")
    with pytest.raises(UserError, match=r"'odd' of package math is float math:pi, which cannot be called"):
        loading.load("odd")
