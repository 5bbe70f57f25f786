import pytest

from kube_registrar.declared import yamlfile
from kube_registrar.declared.configuration import configuration, parse_listen
from kube_registrar.declared.settings import SETTINGS, Configuration, LogFormat, LogLevel, RegistryEntry
from kube_registrar.model.errors import UserError
from kube_registrar.model.policy import Policy

KNOWN_KEYS = ", ".join(sorted(setting.key for setting in SETTINGS if not setting.is_shorthand))
KNOWN_VARIABLES = ", ".join(sorted(setting.variable for setting in SETTINGS if setting.variable))


def merged(
    flags: dict[str, object] | None = None, environ: dict[str, str] | None = None, text: str | None = None
) -> Configuration:
    file = None if text is None else yamlfile.read("settings.yaml", text)
    return configuration(flags or {}, environ or {}, file)


def test_nothing_given_means_the_defaults() -> None:
    assert merged() == Configuration(
        cluster_name="",
        default_registry="default",
        registries={},
        watch_namespaces=(),
        policy=Policy.SYNC,
        allow_undeclared=False,
        leader_election=None,
        lease_namespace=None,
        lease_name="kube-registrar",
        listen="127.0.0.1:8080",
        api_listen="127.0.0.1:8081",
        dns_listen=None,
        kubeconfig=None,
        context=None,
        log_format=LogFormat.PLAIN,
        log_level=LogLevel.INFO,
    )


@pytest.mark.parametrize(
    ("flags", "environ", "text", "expected"),
    [
        ({"cluster_name": "flag"}, {"KUBE_REGISTRAR_CLUSTER_NAME": "variable"}, "clusterName: file", "flag"),
        ({"cluster_name": None}, {"KUBE_REGISTRAR_CLUSTER_NAME": "variable"}, "clusterName: file", "variable"),
        ({}, {"KUBE_REGISTRAR_CLUSTER_NAME": ""}, "clusterName: file", "file"),
        ({}, {}, "clusterName: file", "file"),
        ({}, {}, "", ""),
    ],
)
def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(
    flags: dict[str, object], environ: dict[str, str], text: str, expected: str
) -> None:
    assert merged(flags, environ, text).cluster_name == expected


def test_lists_and_booleans_are_read_from_all_three_places() -> None:
    assert merged(text="watchNamespaces: [a, b]\nallowUndeclared: true").watch_namespaces == ("a", "b")
    assert merged(environ={"KUBE_REGISTRAR_WATCH_NAMESPACES": "a, b"}).watch_namespaces == ("a", "b")
    assert merged({"watch_namespaces": ("a", "b")}).watch_namespaces == ("a", "b")
    assert merged({"watch_namespaces": ()}, text="watchNamespaces: [a]").watch_namespaces == ("a",)
    assert merged(text="allowUndeclared: true").allow_undeclared is True
    assert merged(environ={"KUBE_REGISTRAR_ALLOW_UNDECLARED": "true"}).allow_undeclared is True
    assert merged({"allow_undeclared": False}, {"KUBE_REGISTRAR_ALLOW_UNDECLARED": "true"}).allow_undeclared is False


def test_registries_of_a_file_keep_their_options_as_they_are() -> None:
    text = """
        defaultRegistry: cloud
        registries:
          cloud: {kind: cloudmap, region: eu-west-1, rates: {RegisterInstance: 48/90}}
          edge: {kind: embedded, data: /data}
    """
    assert merged(text=text).registries == {
        "cloud": RegistryEntry("cloudmap", {"region": "eu-west-1", "rates": {"RegisterInstance": "48/90"}}),
        "edge": RegistryEntry("embedded", {"data": "/data"}),
    }


def test_the_policy_is_that_of_the_registry_else_that_of_the_operator_and_no_option_of_the_backend() -> None:
    text = """
        policy: create-only
        defaultRegistry: cloud
        registries:
          cloud: {kind: cloudmap, region: eu-west-1}
          edge: {kind: embedded, data: /data, policy: observe}
    """
    result = merged(text=text)
    assert result.registries["edge"] == RegistryEntry("embedded", {"data": "/data"}, Policy.OBSERVE)
    assert (result.policy_of("cloud"), result.policy_of("edge")) == (Policy.CREATE_ONLY, Policy.OBSERVE)
    assert merged({"policy": "sync"}, text=text).policy_of("cloud") is Policy.SYNC
    assert merged({"policy": "sync"}, text=text).policy_of("edge") is Policy.OBSERVE
    one = merged({"registry": "embedded"}, {"KUBE_REGISTRAR_POLICY": "upsert-only"})
    assert one.policy_of("default") is Policy.UPSERT_ONLY


def test_the_shorthand_is_one_registry_called_default_and_may_come_from_flag_and_environment_together() -> None:
    result = merged(
        {"registry": "embedded", "simulate": "latency=20ms"},
        {"KUBE_REGISTRAR_DATA": "/data", "KUBE_REGISTRAR_REGISTRY": "cloudmap"},
    )
    assert result.registries == {"default": RegistryEntry("embedded", {"data": "/data", "simulate": "latency=20ms"})}
    cloud = merged({"registry": "cloudmap", "endpoint_url": "http://127.0.0.1:8081", "region": "eu-west-1"})
    assert cloud.registries == {
        "default": RegistryEntry("cloudmap", {"endpointUrl": "http://127.0.0.1:8081", "region": "eu-west-1"})
    }


def test_what_kubernetes_says_of_services_of_our_name_is_no_setting() -> None:
    linked = {
        "KUBE_REGISTRAR_SERVICE_HOST": "10.0.0.1",
        "KUBE_REGISTRAR_SERVICE_PORT": "8080",
        "KUBE_REGISTRAR_SERVICE_PORT_HTTP": "8080",
        "KUBE_REGISTRAR_PORT": "tcp://10.0.0.1:8080",
        "KUBE_REGISTRAR_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "KUBE_REGISTRAR_PORT_8080_TCP_ADDR": "10.0.0.1",
        "KUBE_REGISTRAR_API_SERVICE_HOST": "10.0.0.2",
        "KUBE_REGISTRAR_API_PORT_8081_TCP_PROTO": "tcp",
        "KUBE_REGISTRAR_CONFIG": "settings.yaml",
        "KUBE_REGISTRAR_CACHE": "/cache",
        "PATH": "/bin",
    }
    assert merged(environ=linked) == merged()


@pytest.mark.parametrize(
    ("flags", "environ", "text", "sentence"),
    [
        (
            {},
            {},
            "\nclustername: prod",
            f"settings.yaml:2: clustername is no setting (did you mean clusterName?): known are {KNOWN_KEYS}",
        ),
        ({}, {}, "zzz: 1", f"settings.yaml:1: zzz is no setting: known are {KNOWN_KEYS}"),
        (
            {},
            {"KUBE_REGISTRAR_LOGFORMAT": "json"},
            None,
            ("the environment variable KUBE_REGISTRAR_LOGFORMAT is no setting (did you mean KUBE_REGISTRAR_LOG_FORMAT?)"
            f": known are {KNOWN_VARIABLES}"),
        ),
        (
            {"lease_name": "Lease"},
            {},
            None,
            "--lease-name is 'Lease': the name of a Lease is at most 63 of a-z, 0-9 and -",
        ),
        (
            {},
            {},
            "leaseNamespace: a/b",
            "settings.yaml:1: leaseNamespace is 'a/b': a namespace's name is at most 63 of a-z, 0-9 and -",
        ),
        ({}, {}, "leaderElection: maybe", "settings.yaml:1: leaderElection is 'maybe': allowed are true, false"),
        ({"log_format": "xml"}, {}, None, "--log-format is 'xml': allowed are plain, json"),
        (
            {},
            {"KUBE_REGISTRAR_LOG_LEVEL": "loud"},
            None,
            "KUBE_REGISTRAR_LOG_LEVEL is 'loud': allowed are debug, info, warning, error",
        ),
        (
            {},
            {"KUBE_REGISTRAR_POLICY": "dry-run"},
            None,
            "KUBE_REGISTRAR_POLICY is 'dry-run': allowed are sync, upsert-only, create-only, observe",
        ),
        (
            {},
            {},
            "registries:\n  default: {kind: embedded, policy: dry-run}",
            ("settings.yaml:2: registries.default has the policy 'dry-run': "
            "allowed are sync, upsert-only, create-only, observe"),
        ),
        (
            {},
            {},
            "registries:\n  default: {kind: embedded, policy: [sync]}",
            ("settings.yaml:2: registries.default has the policy ['sync']: "
            "allowed are sync, upsert-only, create-only, observe"),
        ),
        ({}, {}, "clusterName: 7", "settings.yaml:1: clusterName is 7: it must be a text"),
        ({}, {}, "clusterName: ''", "settings.yaml:1: clusterName is empty: leave it out, or give it a value"),
        ({}, {}, "allowUndeclared: 'true'", "settings.yaml:1: allowUndeclared is 'true': allowed are true, false"),
        (
            {},
            {"KUBE_REGISTRAR_ALLOW_UNDECLARED": "yes"},
            None,
            "KUBE_REGISTRAR_ALLOW_UNDECLARED is 'yes': allowed are true, false",
        ),
        (
            {},
            {},
            "watchNamespaces: one",
            "settings.yaml:1: watchNamespaces is 'one': it must be a list of names of Kubernetes namespaces",
        ),
        (
            {},
            {"KUBE_REGISTRAR_WATCH_NAMESPACES": "good,Bad"},
            None,
            "KUBE_REGISTRAR_WATCH_NAMESPACES has 'Bad': a namespace's name is at most 63 of a-z, 0-9 and -",
        ),
        ({"dns_listen": "53"}, {}, None, "--dns-listen: '53' is not HOST:PORT: write it like 127.0.0.1:8080"),
        ({"listen": "8080"}, {}, None, "--listen: '8080' is not HOST:PORT: write it like 127.0.0.1:8080"),
        (
            {},
            {},
            "\n\napiListen: '[::1]:66000'",
            "settings.yaml:3: apiListen: '[::1]:66000' has the port '66000': allowed are 0 (a free one) to 65535",
        ),
        (
            {"registry": "embedded"},
            {},
            "registries: {default: {kind: embedded}}",
            ("--registry asks for one registry called default, but settings.yaml:1: registries has registries: "
            "use one of the two"),
        ),
        (
            {},
            {"KUBE_REGISTRAR_REGION": "eu-west-1"},
            None,
            "KUBE_REGISTRAR_REGION is an option of a registry: say which kind with --registry, such as embedded",
        ),
        (
            {},
            {},
            "registries:\n  default:\n    data: /data",
            "settings.yaml:2: registries.default has no kind: write default: {kind: embedded, data: …} or another kind",
        ),
        (
            {},
            {},
            "registries:\n  Default: {kind: embedded}",
            ("settings.yaml:2: registries.Default: a registry's name is at most 63 of a-z, 0-9 and -, "
            "and begins with no -"),
        ),
        (
            {},
            {},
            "registries: [embedded]",
            "settings.yaml:1: registries is 'embedded': it must map names to {kind: …, and the options of that kind}",
        ),
        (
            {},
            {},
            "registries:\n  edge: {kind: embedded}",
            "defaultRegistry is 'default', which no registry is called: there is edge",
        ),
        (
            {"registry": "embedded", "default_registry": "edge"},
            {},
            None,
            "--default-registry is 'edge', which no registry is called: there is default",
        ),
        ({}, {}, "- a", "settings.yaml must be a mapping of settings, such as `clusterName: prod`"),
        (
            {},
            {},
            "listen: a:1\nclusterName: a\nlisten: b:1",
            "settings.yaml:3 says listen again, after line 1: keep one of them",
        ),
        ({}, {}, "1: a", "settings.yaml:1: the key '1' must be a text: write it in quotes"),
        ({}, {}, "a: [", "settings.yaml:1 is no YAML: expected the node content, but found '<stream end>'"),
        ({}, {}, "clusterName: \x00", ("settings.yaml is no YAML: unacceptable character #x0000: special characters "
         'are not allowed in "<unicode string>", position 13')),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_that_names_it_its_place_and_what_is_allowed(
    flags: dict[str, object], environ: dict[str, str], text: str | None, sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        merged(flags, environ, text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
    ],
)
def test_an_address_to_listen_on_is_host_and_port(text: str, expected: tuple[str, int]) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    "text", ["", ":8080", "host", "host:", "host:-1", "host:65536", "host:x", "::1:80", "[]:1", "h:²"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_listen(text)
    assert str(caught.value).startswith(repr(text))
