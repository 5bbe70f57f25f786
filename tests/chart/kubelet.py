"""A kubelet of the smallest kind: it runs the pods of our image as processes of this machine.

What a pod says is what its process gets: command, arguments, environment, the token of its service account if it mounts
one; ConfigMaps, Secrets and claims as files. There are no containers, so three things are moved: a mounted folder is
elsewhere, each pod has a loopback address of its own instead of all addresses, and the registry's Services are that of
its pod. kwok says what pods are; this says how those end that end by themselves.
"""

import base64
import contextlib
import itertools
import os
import random
import re
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kube_registrar.testing.api import STRATEGIC_PATCH, ApiError
from kube_registrar.testing.control_plane import ControlPlane
from tests.warm import processes as warm
from tests.warm.server import ACCOUNT

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Process:
    """A pod whose process was started."""

    pod: str
    component: str
    address: str
    child: warm.Process
    log: Path

    def text(self) -> str:
        """Return what it wrote."""
        return self.log.read_text(errors="replace")


class Kubelet:
    """Runs the pods of one Kubernetes namespace until the context ends. `folder`: where their files are."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        self.plane = plane
        self.namespace = namespace
        self.started: dict[str, Process] = {}
        """By the UID of the pod; those that have ended too."""
        self.errors: list[str] = []
        self._folder = folder
        self._network = f"127.{random.randint(10, 250)}.{random.randint(0, 250)}"
        self._numbers = itertools.count(10)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="kubelet")

    @property
    def registry(self) -> str:
        """The address of the registry's pod."""
        return f"{self._network}.2"

    def running(self, component: str) -> Sequence[Process]:
        """Return the processes of a component that run."""
        found = list(self.started.values())
        return [each for each in found if each.component == component and each.child.poll() is None]

    def logs(self) -> str:
        """Return what helps whoever reads a failure."""
        texts = (f"{each.pod} ({each.child.poll()}):\n{each.text()[-1500:]}" for each in list(self.started.values()))
        return "\n".join([*self.errors, *texts])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        for each in self.started.values():
            each.child.kill()

    def _work(self) -> None:
        while not self._over.wait(0.2):
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - told in the test's thread
                self.errors.append(repr(error))

    def _look(self) -> None:
        """Start what is new, end what is to go, and say how ended what has ended."""
        found = self.plane.api.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        there = {pod["metadata"]["uid"]: pod for pod in found}
        for uid, pod in there.items():
            is_ours = "app.kubernetes.io/component" in pod["metadata"].get("labels", {})
            is_due = pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
            if is_ours and is_due and uid not in self.started:
                self.started[uid] = self._start(pod)
        for uid, process in self.started.items():
            code = process.child.poll()
            here = there.get(uid)
            if code is None and (here is None or "deletionTimestamp" in here["metadata"]):
                process.child.signal(signal.SIGTERM)
            elif code is not None and here is not None and here["status"]["phase"] == "Running":
                self._say(here, code)

    def _say(self, pod: Json, code: int) -> None:
        phase = "Failed" if code else "Succeeded"
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}/status"
        (container,) = pod["spec"]["containers"]
        ended = {
            "name": container["name"],
            "ready": False,
            "state": {"running": None, "terminated": {"exitCode": code}},
        }
        status = {"phase": phase, "containerStatuses": [ended]}
        with contextlib.suppress(ApiError):  # it may be gone by now
            self.plane.api.patch(path, {"status": status}, content_type=STRATEGIC_PATCH)

    def _start(self, pod: Json) -> Process:
        (container,) = pod["spec"]["containers"]
        name, component = pod["metadata"]["name"], pod["metadata"]["labels"]["app.kubernetes.io/component"]
        home = self._folder / f"{name}-{pod['metadata']['uid']}"
        home.mkdir(parents=True)
        address = self.registry if component == "registry" else f"{self._network}.{next(self._numbers)}"
        mounts = self._mounts(pod["spec"], container, home, address)
        environment = self._environment(container, mounts, address)
        account = home / "account"
        if pod["spec"]["automountServiceAccountToken"]:
            self._mount_account(pod["spec"]["serviceAccountName"], account)
            host, _, port = self.plane.url.removeprefix("https://").partition(":")
            environment |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        assert container["command"] == ["kube-registrar"]
        arguments = [self._moved(each, mounts, address) for each in container["args"]]
        log = home / "log"
        child = warm.Process(arguments, log, {**environment, ACCOUNT: str(account)})
        return Process(name, component, address, child, log)

    def _mounts(self, spec: Json, container: Json, home: Path, address: str) -> dict[str, str]:
        """Make and fill the folders of all mounts; return where each is."""
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        mounts = {}
        for mount in container.get("volumeMounts", []):
            claim = volumes[mount["name"]].get("persistentVolumeClaim")
            folder = self._folder / "claims" / claim["claimName"] if claim else home / mount["name"]
            folder.mkdir(parents=True, exist_ok=True)
            mounts[mount["mountPath"]] = str(folder)
        for mount in container.get("volumeMounts", []):
            volume = volumes[mount["name"]]
            for source in volume["projected"]["sources"] if "projected" in volume else [volume]:
                if {"configMap", "secret"} & source.keys():
                    self._fill(Path(mounts[mount["mountPath"]]), source, mounts, address)
        return mounts

    def _fill(self, folder: Path, source: Json, mounts: Mapping[str, str], address: str) -> None:
        """Write the files of a ConfigMap or Secret."""
        if "configMap" in source:
            reference = source["configMap"]
            files = dict(self._get("configmaps", reference["name"])["data"])
        else:
            reference = source["secret"]
            files = self._secret(reference.get("secretName") or reference["name"])
        wanted = {item["key"]: item["path"] for item in reference.get("items", [])} or {key: key for key in files}
        for key, path in wanted.items():
            (folder / path).write_text(self._moved(files[key], mounts, address))
            (folder / path).chmod(0o440)

    def _environment(self, container: Json, mounts: Mapping[str, str], address: str) -> dict[str, str]:
        """Return what the container says, and what every image has."""
        found = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TMPDIR": mounts["/tmp"]}
        for each in container.get("env", []):
            value = each.get("value", "")
            if "valueFrom" in each:
                reference = each["valueFrom"]["secretKeyRef"]
                value = self._secret(reference["name"])[reference["key"]]
            found[each["name"]] = self._moved(value, mounts, address)
        return found

    def _mount_account(self, name: str, folder: Path) -> None:
        folder.mkdir()
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{name}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        (folder / "token").write_text(self.plane.api.post(path, request)["status"]["token"])
        (folder / "ca.crt").write_text(self.plane.ca_file.read_text())
        (folder / "namespace").write_text(self.namespace)

    def _secret(self, name: str) -> dict[str, str]:
        data = self._get("secrets", name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def _get(self, plural: str, name: str) -> Json:
        return self.plane.api.get(f"/api/v1/namespaces/{self.namespace}/{plural}/{name}")

    def _moved(self, text: str, mounts: Mapping[str, str], address: str) -> str:
        """Return a text with folders, the address to listen at, and the registry's Services as they are here."""
        places = {**mounts, "0.0.0.0:": f"{address}:"}
        pattern = "|".join(re.escape(each) for each in sorted(places, key=len, reverse=True))
        moved = re.sub(pattern, lambda found: places[found[0]], text)
        return re.sub(rf"//[\w-]+-registry\.{self.namespace}\.svc:", f"//{self.registry}:", moved)
