"""A Consul for tests, or a skip that says why there is none; registries on it; certificates."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, ServiceRef
from kube_registrar.model.specs import HealthCheckType, NamespaceSpec
from kube_registrar.registries.consul import open_registry
from kube_registrar.registries.consul.registry import ConsulRegistry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.testing.consul import Consul
from kube_registrar.testing.contract.base import service_spec
from kube_registrar.testing.errors import MissingBinaries

ROOT = Path(__file__).parents[3]
POLICY = ROOT / "deploy" / "consul" / "policy.hcl"
CREATOR = "cluster/ours"

_CA = """[ca]
default_ca=own
[own]
database=index.txt
new_certs_dir=.
serial=serial
default_md=sha256
policy=any
unique_subject=no
x509_extensions=names
[any]
commonName=supplied
[names]
basicConstraints=CA:TRUE
subjectAltName=IP:127.0.0.1
"""


def new_consul(folder: Path, **named: Any) -> Consul:
    """Return a Consul that is not started yet. The test is skipped, and says so, where Consul is not built."""
    try:
        return Consul(folder, **named)
    except MissingBinaries as error:
        pytest.skip(f"CONSUL IS NOT TESTED HERE: {error}")


@asynccontextmanager
async def opened(consul: Consul, **options: object) -> AsyncIterator[ConsulRegistry]:
    """Open it, at its address unless the options say otherwise."""
    config = {"address": consul.address, **options}
    async with open_registry(config, DEFAULT_REGISTRY, SystemClock()) as registry:
        assert isinstance(registry, ConsulRegistry)
        yield registry


async def made(registry: ConsulRegistry, reference: str, *, custom_health: bool = False) -> ServiceRef:
    """Make a registry service and its namespace."""
    namespace, _, name = reference.rpartition("/")
    parent = NamespaceRef(DEFAULT_REGISTRY, namespace)
    await registry.ensure(NamespaceSpec(parent), CREATOR)
    check = HealthCheckType.CUSTOM if custom_health else HealthCheckType.NONE
    spec = service_spec(parent, name, health_check=check)
    await registry.ensure(spec, CREATOR)
    return spec.ref


def certificate(folder: Path, name: str, *, is_expired: bool = False) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that signs itself, and its key; return both files."""
    folder.mkdir(exist_ok=True, parents=True)
    cert, key, request = (folder / f"{name}.{end}" for end in ("crt", "key", "csr"))
    for file, text in (("ca.cnf", _CA), ("index.txt", ""), ("serial", "01\n")):
        (folder / file).write_text(text, encoding="ascii")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    dates = ("20200101000000Z", "20200102000000Z") if is_expired else ("20200101000000Z", "21200101000000Z")
    asked = ["req", "-new", *curve, "-subj", f"/CN={name}", "-out", str(request), "-keyout", str(key)]
    signed = ["ca", "-batch", "-config", "ca.cnf", "-selfsign", "-keyfile", str(key), "-in", str(request), "-notext"]
    for command in (asked, [*signed, "-out", str(cert), "-startdate", dates[0], "-enddate", dates[1]]):
        subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=60, cwd=folder)
    return cert, key
