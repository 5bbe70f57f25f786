"""The other side: an application that looks for instances with boto3, and the aws command line that does the same."""

import json
import os
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
from botocore.config import Config

import kube_registrar
from kube_registrar.model.errors import KubeRegistrarError

NAMESPACE = "test-namespace"
SERVICE = "flask-app"
REGION = "us-east-1"
HOSTS = ("registry.localhost", "data-registry.localhost")
_AWS_SECONDS = 60.0

# The embedded registry listens on loopback and asks for no key, but no AWS client sends a request without one.
_ENVIRONMENT = {
    "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
    "AWS_ACCESS_KEY_ID": "demo",
    "AWS_SECRET_ACCESS_KEY": "demo",
    "AWS_DEFAULT_REGION": REGION,
}

Found = Mapping[str, Any]
"""An instance as DiscoverInstances returns it."""


class Client:
    """An application: boto3, told where the registry is and nothing else of kube-registrar.

    `is_plain`: not even that it shall leave out the prefix `data-`, as SDKs of other languages cannot be told.
    """

    def __init__(self, endpoint: str, *, is_plain: bool = False) -> None:
        self.endpoint = endpoint
        self._client: Any = boto3.client(
            "servicediscovery",
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id=_ENVIRONMENT["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=_ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
            config=Config(inject_host_prefix=is_plain, connect_timeout=5, read_timeout=5),
        )

    def discover(self, **parameters: str) -> Sequence[Found]:
        """Return the instances with these attributes; none where the service does not exist yet."""
        try:
            answer = self._client.discover_instances(
                NamespaceName=NAMESPACE, ServiceName=SERVICE, QueryParameters=parameters, MaxResults=1000
            )
        except (self._client.exceptions.NamespaceNotFound, self._client.exceptions.ServiceNotFound):
            return ()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise KubeRegistrarError(f"the registry does not answer: {error}") from None
        instances: Sequence[Found] = answer["Instances"]
        return instances


def named(endpoint: str) -> str | None:
    """Return the endpoint by names, for clients that put `data-` before one; None where they lead elsewhere here."""
    place = urlsplit(endpoint)
    try:
        found = {_address(name, place.port) for name in HOSTS}
    except OSError:
        return None
    return f"{place.scheme}://{HOSTS[0]}:{place.port}" if found == {place.hostname} else None


def _address(name: str, port: int | None) -> str:
    """Return where a client connects first. Raises OSError where there is no such name."""
    return str(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][4][0])


def by_version(instances: Sequence[Found]) -> Counter[str]:
    """Count instances by what the user wrote on their pods, as `stage=dev,version=1.0.0`."""
    return Counter(
        f"stage={instance['Attributes'].get('stage')},version={instance['Attributes'].get('version')}"
        for instance in instances
    )


def pods_of(instances: Sequence[Found]) -> set[str]:
    """Return the names of the pods that the instances stand for."""
    return {str(instance["Attributes"].get("KUBE_POD")) for instance in instances}


def aws_arguments(query: str) -> list[str]:
    """Return the arguments of the aws command line for a discovery."""
    names = ["--namespace-name", NAMESPACE, "--service-name", SERVICE]
    return ["servicediscovery", "discover-instances", *names, "--query-parameters", query]


def aws_command(endpoint: str, query: str) -> str:
    """Return the command to paste into a shell, for whoever has the aws command line."""
    given = {"AWS_ENDPOINT_URL_SERVICEDISCOVERY": endpoint, **_ENVIRONMENT}
    assignments = " ".join(f"{key}={value}" for key, value in given.items())
    return f"{assignments} aws {' '.join(aws_arguments(query))}"


def find_aws() -> str | None:
    """Return the aws command line of this machine, or the one that `make test` puts into a checkout; else None."""
    own = Path(kube_registrar.__file__).parents[2] / ".venv-aws" / "bin" / "aws"
    return shutil.which("aws") or (str(own) if own.exists() else None)


def run_aws(aws: str, endpoint: str, query: str) -> Sequence[Found]:
    """Run that command and return the instances that it printed. Raises KubeRegistrarError if it failed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    environment = {**kept, **_ENVIRONMENT, "AWS_ENDPOINT_URL_SERVICEDISCOVERY": endpoint}
    done = subprocess.run(
        [aws, *aws_arguments(query), "--output", "json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=_AWS_SECONDS,
        check=False,
    )
    if done.returncode:
        raise KubeRegistrarError(f"the aws command line failed with code {done.returncode}: {done.stderr.strip()}")
    instances: Sequence[Found] = json.loads(done.stdout)["Instances"]
    return instances
