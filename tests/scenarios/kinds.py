"""Each kind of registry as the operator is run on it: a server of it, its configuration, and an operator."""

import importlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.registries.consul.ground import new_consul
from tests.registries.etcd.ground import one_member
from tests.scenarios.harness import AWS, Operator, environment
from tests.scenarios.place import ROOT
from tests.scenarios.server import Server
from tests.warm import processes as warm

KINDS = ("embedded", "cloudmap", "consul", "etcd", "jsonfile")
PLUGIN = ROOT / "examples" / "registry-plugin"

Options = Mapping[str, Any]


def install_plugin(folder: Path) -> Path:
    """Install the example of a plugin into a folder, without a network."""
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--offline"]
    subprocess.run(
        [*uv, "--python", sys.executable, "--no-deps", "--no-build-isolation", "--target", str(folder), str(PLUGIN)],
        check=True,
        timeout=120,
    )
    return folder


@dataclass
class Kind:
    """A registry of a kind, and the operator that keeps it true.

    `options`: how everybody else opens it; `alone`: how one does while the operator is away.
    """

    name: str
    folder: Path
    options: Options
    alone: Options
    operator: Operator
    variables: Mapping[str, str]

    def kill(self) -> None:
        """End the operator as a machine that loses power would."""
        killed(self.operator)

    def run(self, *args: str, alone: bool = False) -> warm.Ended:
        """Run a command of ours on it; `alone`: while the operator is away."""
        config = written(self.folder / "registrar.yaml", self.alone if alone else self.options)
        return warm.run([*args, "--config", str(config)], {**environment(), **self.variables})


def killed(operator: Operator) -> None:
    """Kill an operator. Whoever starts it need not wait until its Lease has run out: test_leader_election.py does."""
    operator.kill()
    operator.flags += ["--lease-name", f"lease-{secrets.token_hex(4)}"]


def written(path: Path, options: Options) -> Path:
    """Write the configuration of this one registry."""
    path.write_text(yaml.safe_dump({"registries": {"default": dict(options)}}), encoding="utf-8")
    return path


@contextmanager
def opened_kind(name: str, folder: Path, kubeconfig: Path) -> Iterator[Kind]:
    """Start a server of this kind, if it has one, and an operator on it. Skips, and says so, where it is not built."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for key, value in AWS.items():
            patch.setenv(key, value)
        variables: dict[str, str] = {}
        if name == "jsonfile":
            site = install_plugin(folder / "site")
            variables["PYTHONPATH"] = os.pathsep.join((str(site), *filter(None, [os.environ.get("PYTHONPATH")])))
            patch.syspath_prepend(site)
            importlib.invalidate_caches()
        if name == "embedded":
            operator = Operator(folder, kubeconfig, is_warm=True)
            options = _cloudmap(operator.endpoint)
            alone: Options = {"kind": name, "data": str(operator.data)}
        else:
            options = alone = _served(name, folder, stack)
            config = written(folder / "operator.yaml", options)
            operator = Operator(folder, kubeconfig, config=config, variables=variables, is_warm=True)
        stack.callback(operator.kill)
        operator.start()
        yield Kind(name, folder, options, alone, operator, variables)


def _served(name: str, folder: Path, stack: ExitStack) -> Options:
    if name == "cloudmap":
        return _cloudmap(stack.enter_context(Server(folder)).endpoint)
    if name == "consul":
        return {"kind": name, "address": stack.enter_context(new_consul(folder / "consul")).address}
    if name == "etcd":
        (folder / "etcd").mkdir()
        return {"kind": name, "endpoints": list(stack.enter_context(one_member(folder / "etcd")).endpoints)}
    return {"kind": name, "path": str(folder / "registry.json")}


def _cloudmap(endpoint: str) -> Options:
    return {"kind": "cloudmap", "endpointUrl": endpoint, "region": "us-east-1"}
