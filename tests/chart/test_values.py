"""Wrong values are refused before anything is made, each with the place and what is allowed there."""

from pathlib import Path

import pytest

from tests.chart.helm import CHART, Helm

WRONG = {
    "a misspelt key": ("replica: 2", "replica"),
    "a misspelt key of a group": ("image: {repo: x}", "repo"),
    "a misspelt key deep inside": ("embedded: {dns: {service: {cluster-ip: 10.0.0.1}}}", "cluster-ip"),
    "another chart's key": ("serviceMonitor: {enabled: true}", "serviceMonitor"),
    "a number as text": ('replicas: "2"', "/replicas"),
    "a negative number": ("replicas: -1", "/replicas"),
    "too small a number": ("resyncSeconds: 5", "minimum: got 5, want 10"),
    "a switch as text": ('crds: {keep: "yes"}', "/crds/keep"),
    "a switch instead of a group": ("readinessGate: true", "/readinessGate"),
    "an unknown mode": ("mode: consul", "'embedded', 'cloudmap', 'registries'"),
    "an unknown policy": ("policy: upsert", "'sync', 'upsert-only', 'create-only', 'observe'"),
    "an unknown level": ("log: {level: trace}", "'debug', 'info', 'warning', 'error'"),
    "a text instead of a list": ("watchNamespaces: shop", "/watchNamespaces"),
    "a name that no namespace has": ("watchNamespaces: [Shop]", "/watchNamespaces/0"),
    "a Region that is none": ("cloudmap: {region: Ireland}", "/cloudmap/region"),
    "a role that is none": ("cloudmap: {roleArn: registrar}", "/cloudmap/roleArn"),
    "an endpoint without a scheme": ("cloudmap: {endpointUrl: 'registry:8081'}", "/cloudmap/endpointUrl"),
    "a rate without a burst": ("cloudmap: {rates: {RegisterInstance: 48}}", "/cloudmap/rates/RegisterInstance"),
    "no registries": ("mode: registries", "/registries"),
    "a registry without a kind": ("mode: registries\nregistries: {a: {region: eu-west-1}}", "missing property 'kind'"),
    "a registry of a name that is none": ("registries: {A_B: {kind: cloudmap}}", "A_B"),
    "an embedded registry there": ("mode: registries\nregistries: {a: {kind: embedded}}", "use mode: embedded"),
    "a default that is not there": ("mode: registries\nregistries: {a: {kind: x}}\ndefaultRegistry: b", "it has a"),
    "a served registry that is not there": (
        "mode: registries\nregistries: {a: {kind: x}}\nservedRegistry: b\nserved: {accessKeysSecrets: [k]}",
        "no registry is called so: there is a",
    ),
    "a served registry that nobody has a key for": (
        "mode: registries\nregistries: {a: {kind: x}}\nservedRegistry: a",
        "/served/accessKeysSecrets",
    ),
    "a served registry beside an embedded one": ("servedRegistry: default\nserved: {accessKeysSecrets: [k]}", "/mode"),
    "DNS of a registry that is not served": ("served: {dns: {enabled: true}}", "/served/dns/enabled"),
    "replicas without election": ("leaderElection: {enabled: false}", "maximum: got 2, want 1"),
    "an action that is none": ("admission: {validation: {action: Audit}}", "'Warn', 'Deny'"),
    "pods given a gate that nobody may open": (
        "{readinessGate: {enabled: false}, admission: {readinessGate: {enabled: true}}}",
        "/admission/readinessGate/enabled",
    ),
    "half a digest": ("image: {digest: 'sha256:abc'}", "/image/digest"),
    "an image with its digest twice": ("image: {repository: 'a@sha256:b'}", "/image/repository"),
    "a size without a unit that is known": ("embedded: {persistence: {size: 1GB}}", "/embedded/persistence/size"),
    "an address without its length": ("networkPolicy: {apiServer: {cidrs: [10.0.0.1]}}", "/apiServer/cidrs/0"),
    "a port that is none": ("embedded: {api: {port: 70000}}", "/embedded/api/port"),
    "a variable with a number": ("env: [{name: A, value: 1}]", "/env/0/value"),
    "a label with a number": ("podLabels: {a: 1}", "/podLabels/a"),
    "an interval without a unit": ("metrics: {podMonitor: {interval: '30'}}", "/metrics/podMonitor/interval"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_refused_with_its_place(case: str, tmp_path: Path) -> None:
    values, said = WRONG[case]
    done = Helm(tmp_path).run("template", "x", CHART, "--values", "-", stdin=values)
    assert done.returncode != 0
    assert said in done.stderr.replace("&#39;", "'")
    assert "goroutine" not in done.stderr


@pytest.mark.parametrize("values", ["global: {anything: {at: all}}", "enabled: true", "image: {tag: v1}"])
def test_what_parent_charts_give_is_taken(values: str, tmp_path: Path) -> None:
    Helm(tmp_path).said("template", "x", CHART, "--values", "-", stdin=values)
