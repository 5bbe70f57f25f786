"""What the demo shows, in order. Each step does one thing, waits for its effect and verifies it exactly."""

import copy
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from kube_registrar.cli.demo import client
from kube_registrar.cli.demo.client import Client
from kube_registrar.cli.demo.ground import Ground
from kube_registrar.cli.demo.kube import Manifest, name_of
from kube_registrar.cli.demo.operator import Operator, OperatorEnded
from kube_registrar.cli.demo.stage import Stage
from kube_registrar.cli.tables import table
from kube_registrar.model.errors import KubeRegistrarError, UserError

_LOOK_SECONDS = 0.02
_ANNOTATION = "kube-registrar.dev/attributes"
DEV = "stage=dev,version=1.0.0"
DEV_NEXT = "stage=dev,version=1.1.0"
PROD = "stage=prod,version=2.0.0"
REPLICAS = 3


class StepFailed(UserError):
    """Something that the demo promises did not happen."""


@dataclass(frozen=True, slots=True)
class Version:
    """The counts of one version at one moment."""

    version: str
    ready: int
    found: int


@dataclass(frozen=True, slots=True)
class Moment:
    """Ready pods and discoverable instances at one moment."""

    ready: Counter[str]
    found: Counter[str]
    ready_pods: frozenset[str]
    found_pods: frozenset[str]

    @property
    def rows(self) -> Sequence[Version]:
        """The counts, a row for each version that has any."""
        versions = sorted(self.ready.keys() | self.found.keys())
        return [Version(version, self.ready[version], self.found[version]) for version in versions]

    def missing(self, wanted: dict[str, int]) -> str | None:
        """Return how this differs from the wanted counts; None where pods and instances are exactly those."""
        if self.ready == Counter(wanted) == self.found and self.ready_pods == self.found_pods:
            return None
        return (
            f"wanted are {_counts(Counter(wanted))}; ready pods are {_counts(self.ready)}; "
            f"discoverable are {_counts(self.found)}"
        )


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} of {version}" for version, count in sorted(counts.items()) if count) or "none"


class Story:
    """The steps from the custom resource definitions on, on a ground that is there."""

    def __init__(self, ground: Ground, stage: Stage) -> None:
        self._ground = ground
        self._stage = stage

    # Each public method is one step.

    def apply_definitions(self) -> None:
        """Apply the CRDs and wait until the API server serves them."""
        with self._step("The custom resource definitions", "apply the definitions"):
            for manifest in self._ground.crds:
                self._ground.kube.apply(manifest)
                self._wait(partial(self._why_not, manifest, "Established"))
                self._stage.say(str(manifest["metadata"]["name"]))

    def start_operator(self, operator: Operator) -> Client:
        """Wait until the operator is ready, and return a client of its registry."""
        with self._step("The operator, with the embedded registry", "start the operator", operator):
            self._stage.command(operator.command)
            self._wait(operator.why_not_ready)
            endpoint = operator.address("api")
            if endpoint is None:
                raise StepFailed("the operator is ready, but serves no Cloud Map API")
            self._stage.say(f"ready; it serves Cloud Map's API at {endpoint}")
            return Client(endpoint)

    def apply_quickstart(self, operator: Operator, registry: Client) -> None:
        """Apply examples/quickstart and follow six pods until they are six instances."""
        with self._step("Pods become instances", "pods become instances", operator):
            kube, objects = self._ground.kube, self._ground.quickstart
            kinds = [manifest for manifest in objects if manifest["kind"].startswith("Registry")]
            self._stage.say(
                "examples/quickstart: a registry namespace, a service in it, two Deployments of 3 pods each"
            )
            for manifest in kinds:
                kube.apply(manifest)
            for manifest in kinds:
                self._wait(partial(self._why_not, manifest, "Ready"))
                self._stage.say(f"{name_of(manifest)} is Ready")
            for manifest in objects:
                if manifest not in kinds:
                    kube.apply(manifest)
            self._follow(registry, {DEV: REPLICAS, PROD: REPLICAS})
            self._stage.say("every ready pod is discoverable, by 3 annotations on its Deployment")

    def discover(self, operator: Operator, registry: Client) -> None:
        """Discover by attribute with boto3, and with the aws command line where there is one."""
        with self._step("Clients find them by attribute", "discover by attribute", operator):
            self._stage.say('boto3: discover_instances(…, QueryParameters={"stage": "dev", "version": "1.0.0"})')
            found = registry.discover(stage="dev", version="1.0.0")
            for line in _instances(found).splitlines():
                self._stage.say(line)
            for count, parameters in (
                (REPLICAS, {"stage": "dev", "version": "1.0.0"}),
                (REPLICAS, {"stage": "prod"}),
                (2 * REPLICAS, {}),
                (0, {"stage": "dev", "version": "2.0.0"}),
            ):
                self._expect(f"boto3 with {parameters}", count, len(registry.discover(**parameters)))
            self._discover_plainly(registry)
            self._stage.say("the same with the aws command line, to paste into another terminal:")
            self._stage.command(client.aws_command(registry.endpoint, DEV))
            aws = client.find_aws()
            if aws is None:
                self._stage.say("(the aws command line is not installed here, so it was not run)")
                return
            self._expect("the aws command line", REPLICAS, len(client.run_aws(aws, registry.endpoint, DEV)))
            self._stage.say(f"it was run, and it found the same {REPLICAS}")

    def _discover_plainly(self, registry: Client) -> None:
        """Discover as SDKs do that cannot be told to leave out the prefix `data-`, where their names lead here."""
        endpoint = client.named(registry.endpoint)
        if endpoint is None:
            line = f"127.0.0.1 {' '.join(client.HOSTS)}"
            self._stage.say(
                f'SDKs of other languages put "data-" before the host; with "{line}" in the hosts file that works'
            )
            return
        found = client.Client(endpoint, is_plain=True).discover(stage="dev", version="1.0.0")
        self._expect(f"boto3 as it is, at {endpoint}", REPLICAS, len(found))
        self._stage.say(
            f'a client as it is, which puts "data-" before the host of {endpoint}, found the same {REPLICAS}'
        )

    def roll_over(self, operator: Operator, registry: Client) -> None:
        """Roll stage=dev over to another version, and follow until the old one is gone."""
        with self._step("A rolling update is followed", "follow a rolling update", operator):
            self._stage.say(f"flask-app-dev: {DEV} becomes {DEV_NEXT}")
            self._ground.kube.apply(self._deployment("flask-app-dev", attributes=DEV_NEXT))
            lowest = self._follow(registry, {DEV_NEXT: REPLICAS, PROD: REPLICAS})
            if lowest < 2 * REPLICAS:
                raise StepFailed(f"for a moment only {lowest} of {2 * REPLICAS} instances were discoverable")
            self._stage.say(f"at no moment were fewer than {lowest} instances discoverable")

    def scale_down(self, operator: Operator, registry: Client) -> None:
        """Scale stage=prod down to one pod, and follow until one instance is left."""
        with self._step("A scale-down is followed", "follow a scale-down", operator):
            self._stage.say(f"flask-app-prod: from {REPLICAS} pods to 1")
            self._ground.kube.apply(self._deployment("flask-app-prod", replicas=1))
            self._follow(registry, {DEV_NEXT: REPLICAS, PROD: 1})
            self._stage.say("the instance that is left is that of the pod that is left")

    # What steps are made of.

    @contextmanager
    def _step(self, title: str, failing: str, operator: Operator | None = None) -> Iterator[None]:
        """Tell the title and the time it took; a failure names the step."""
        self._stage.step(title)
        began = time.monotonic()
        try:
            yield
        except OperatorEnded as error:
            raise StepFailed(f"the demo failed at “{failing}”: {error}") from None
        except KubeRegistrarError as error:
            log = f"; the operator's log ends with\n{operator.tail()}" if operator is not None else ""
            raise StepFailed(f"the demo failed at “{failing}”: {error}{log}") from None
        finally:
            self._stage.settle()
        self._stage.say(f"done after {time.monotonic() - began:.1f} s")

    def _wait(self, why_not: Callable[[], str | None]) -> None:
        """Wait until there is no reason any more, at most for the patience of the ground."""
        end = time.monotonic() + self._ground.patience
        while (reason := why_not()) is not None:
            if time.monotonic() > end:
                raise StepFailed(f"it took more than {self._ground.patience:g} s: {reason}")
            time.sleep(_LOOK_SECONDS)

    def _follow(self, registry: Client, wanted: dict[str, int]) -> int:
        """Show the counts until they are exactly the wanted ones; return the fewest instances seen at one moment."""
        lowest: int | None = None

        def why_not() -> str | None:
            nonlocal lowest
            moment = self._look(registry)
            self._stage.counts(moment.rows)
            together = moment.found.total()
            lowest = together if lowest is None else min(lowest, together)
            return moment.missing(wanted)

        self._wait(why_not)
        self._stage.settle()
        return lowest or 0

    def _look(self, registry: Client) -> Moment:
        ready = [pod for pod in self._ground.kube.pods(self._ground.namespace) if _is_ready(pod)]
        found = registry.discover()
        return Moment(
            ready=Counter(str(pod["metadata"]["annotations"][_ANNOTATION]) for pod in ready),
            found=client.by_version(found),
            ready_pods=frozenset(str(pod["metadata"]["name"]) for pod in ready),
            found_pods=frozenset(client.pods_of(found)),
        )

    def _why_not(self, manifest: Manifest, condition: str) -> str | None:
        """Return why an object's condition does not hold yet; None when it is True."""
        found = self._ground.kube.get(manifest) or {}
        for one in (found.get("status") or {}).get("conditions") or ():
            if one["type"] == condition:
                return (
                    None if one["status"] == "True" else f"{manifest['kind']} is not {condition}: {one.get('message')}"
                )
        return f"{manifest['kind']} {manifest['metadata']['name']} has no condition {condition} yet"

    def _deployment(self, name: str, *, attributes: str = "", replicas: int | None = None) -> Manifest:
        """Return a Deployment of the quickstart with a change."""
        (found,) = (one for one in self._ground.quickstart if one["metadata"]["name"] == name)
        changed: dict[str, Any] = copy.deepcopy(dict(found))
        if attributes:
            changed["spec"]["template"]["metadata"]["annotations"][_ANNOTATION] = attributes
        if replicas is not None:
            changed["spec"]["replicas"] = replicas
        return changed

    def _expect(self, what: str, wanted: int, found: int) -> None:
        if found != wanted:
            raise StepFailed(f"{what} found {found} instances instead of {wanted}")


def _is_ready(pod: dict[str, Any]) -> bool:
    if pod["metadata"].get("deletionTimestamp") or _ANNOTATION not in (pod["metadata"].get("annotations") or {}):
        return False
    conditions = pod.get("status", {}).get("conditions") or ()
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def _instances(found: Sequence[client.Found]) -> str:
    rows = []
    for instance in sorted(found, key=lambda one: str(one["InstanceId"])):
        attributes = instance["Attributes"]
        address = f"{attributes.get('AWS_INSTANCE_IPV4', '')}:{attributes.get('AWS_INSTANCE_PORT', '')}"
        rows.append([str(instance["InstanceId"]), address, attributes["stage"], attributes["version"]])
    return table(["INSTANCE", "ADDRESS", "STAGE", "VERSION"], rows)
