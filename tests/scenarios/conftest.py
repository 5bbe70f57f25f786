"""One control plane that knows our kinds; for each test a place of its own and operators that end with it."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.rights import suite as rights
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place, install_kinds
from tests.scenarios.registry import Registry
from tests.scenarios.server import Server

NewOperator = Callable[..., Operator]


@pytest.fixture(scope="session")
def plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """The control plane of all scenarios; `make test-rights` has one that is audited."""
    with ExitStack() as stack:
        audits = os.environ.get(rights.FOLDER)
        plane: ControlPlane = (
            stack.enter_context(rights.audited_plane(Path(audits)))
            if audits
            else request.getfixturevalue("control_plane")
        )
        install_kinds(plane)
        yield plane


@pytest.fixture
def place(plane: ControlPlane) -> Iterator[Place]:
    """A Kubernetes namespace and a registry namespace of this test alone."""
    with Place(plane) as place:
        yield place


@contextmanager
def _operators(plane: ControlPlane, tmp_path: Path) -> Iterator[NewOperator]:
    with ExitStack() as stack:
        made: list[Operator] = []

        def new(*flags: str, kubeconfig: Path | None = None, name: str = "operator", **more: Any) -> Operator:
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            operator = Operator(folder, kubeconfig or rights.operator_kubeconfig(plane), *flags, is_warm=True, **more)
            stack.callback(operator.kill)
            made.append(operator)
            return operator

        yield new
    for operator in made:
        assert operator.unexpected() == []


@pytest.fixture
def new_operator(plane: ControlPlane, tmp_path: Path) -> Iterator[NewOperator]:
    """Make an operator with an embedded registry: flags; `kubeconfig`, `name` (of its folder), what `Operator` takes.

    It is not started. Whatever happens to the test it is killed, and its log must hold no sign of a mistake of ours.
    """
    with _operators(plane, tmp_path) as new:
        yield new


@pytest.fixture(scope="module")
def one_operator(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator that runs for all tests of a file: each has a place of its own.

    What they take out adds up within a minute, so its registry holds enough else for that not to be many (the brake).
    """
    with _operators(plane, tmp_path_factory.mktemp("operator")) as new, Place(plane) as ballast:
        operator = new("--simulate", "custom-health-delay=0s").start()
        ballast.declare("ballast")
        items = [{"registry": f"{ballast.registry_namespace}/ballast", "port": port} for port in range(1, 51)]
        ballast.pod("ballast", **{"service-registries": json.dumps(items)})
        held = Registry(operator.endpoint, ballast.registry_namespace)
        wait_until(lambda: len(held.instances("ballast")) == len(items), "the ballast to be registered")
        yield operator


@pytest.fixture
def the_registry(one_operator: Operator, place: Place) -> Registry:
    """A client of its registry, in the registry namespace of this test."""
    return Registry(one_operator.endpoint, place.registry_namespace)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A registry in a process of its own, which an operator is given as `endpoint`."""
    with Server(tmp_path) as server:
        yield server


@pytest.fixture
def operator(new_operator: NewOperator) -> Operator:
    """An operator that runs and is ready, on an embedded registry of its own."""
    return new_operator().start()


@pytest.fixture
def registry(operator: Operator, place: Place) -> Registry:
    """A client of the operator's registry, in the registry namespace of this test."""
    return Registry(operator.endpoint, place.registry_namespace)
