"""`kube-registrar serve` as its users start it."""

import signal
import threading
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from kube_registrar.server.access.keys import AccessKey
from kube_registrar.testing.processes import free_port
from kube_registrar.testing.waiting import wait_until
from tests.cli import ground
from tests.cli.serving import Served, served
from tests.server.access.certificates import certificate
from tests.warm import processes as warm
from tests.wire.harness import namespace, register, service
from tests.wire.keys import ADMIN, READ


def client(one: Served, key: AccessKey | None = None, **more: Any) -> Any:
    return boto3.client(
        "servicediscovery",
        endpoint_url=one.address("api"),
        region_name="us-east-1",
        aws_access_key_id=key.id if key else "any",
        aws_secret_access_key=key.secret if key else "any",
        config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1}, proxies={}),
        **more,
    )


def entry(key: AccessKey) -> str:
    return f"- {{accessKeyID: {key.id}, secretAccessKey: {key.secret}, role: {key.role}}}\n"


def keys(folder: Path, *given: AccessKey, mode: int = 0o600) -> Path:
    path = folder / "keys.yaml"
    path.write_text("".join(map(entry, given)))
    path.chmod(mode)
    return path


def refusal(*args: str, env: dict[str, str] | None = None) -> str:
    done = warm.run(["serve", "--listen", "127.0.0.1:0", *args], {**ground.environment(), **(env or {})})
    assert (done.returncode, done.stdout) == (1, "")
    assert ADMIN.secret not in done.stderr
    [sentence] = [line for line in done.stderr.splitlines() if line.startswith("kube-registrar: ")]
    return sentence.removeprefix("kube-registrar: ")


def test_it_serves_until_it_is_told_to_stop_and_leaves_one_whole_file(tmp_path: Path) -> None:
    with served(tmp_path) as one:
        api = client(one)
        register(api, service(api, namespace(api)), AWS_INSTANCE_IPV4="10.0.0.1")
        assert one.probe("/readyz") == (200, "ok\n")
        assert one.probe("/healthz") == (200, "ok\n")
        assert (one.data / "registry.sqlite3-wal").exists()
        assert one.end() == 0
        assert one.said("stopping; open requests are answered first")
        assert sorted(path.name for path in one.data.iterdir()) == ["registry.lock", "registry.sqlite3"]
    (tmp_path / "again").mkdir()
    with served(tmp_path / "again", data=one.data) as again:
        found = client(again).discover_instances(NamespaceName="test-namespace", ServiceName="flask-app")
        assert [each["InstanceId"] for each in found["Instances"]] == ["i-1"]


def test_requests_are_counted_and_timed(tmp_path: Path) -> None:
    with served(tmp_path) as one:
        api = client(one)
        api.list_namespaces()
        with pytest.raises(ClientError):
            api.get_namespace(Id="ns-none")
        line = 'kube_registrar_api_requests_total{code="%s",operation="%s"}'
        assert one.metric(line % ("ok", "ListNamespaces")) == 1
        assert one.metric(line % ("NamespaceNotFound", "GetNamespace")) == 1
        assert one.metric('kube_registrar_api_request_duration_seconds_count{operation="ListNamespaces"}') == 1
        assert one.metric("kube_registrar_api_requests_under_way") == 0


def test_of_connections_there_are_no_more_than_may_be(tmp_path: Path) -> None:
    with served(tmp_path, "--api-connections", "1") as one:
        api = client(one)
        api.list_namespaces()
        assert one.metric("kube_registrar_api_connections") == 1
        with pytest.raises((EndpointConnectionError, ConnectionClosedError)):
            client(one).list_namespaces()
        assert one.metric("kube_registrar_api_connections_refused_total") == 1
        api.list_namespaces()
        assert one.said("the Cloud Map API holds as many connections as it may (1): new ones are closed")


def test_a_request_that_is_under_way_is_answered_before_the_end(tmp_path: Path) -> None:
    with served(tmp_path, "--simulate", "latency=1s") as one:
        api, answers = client(one), list[Any]()
        thread = threading.Thread(target=lambda: answers.append(api.list_namespaces()))
        thread.start()
        wait_until(lambda: one.metric("kube_registrar_api_requests_under_way") == 1, "the request to be under way")
        assert one.end() == 0
        thread.join(20)
        assert [answer["Namespaces"] for answer in answers] == [[]]


def test_a_folder_that_is_in_use_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with served(tmp_path) as one:
        said = refusal("--data", str(one.data), "--api-listen", "127.0.0.1:0")
        assert said.startswith(f"The folder {one.data} is in use by another process (process {one.process.pid}): ")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ([], "Registry default: the embedded registry needs a folder for its data: give it with --data or `data`"),
        (
            ["--data", "D", "--api-listen", "0.0.0.0:0"],
            "The Cloud Map API cannot listen on 0.0.0.0 without access keys",
        ),
        (["--data", "D", "--access-keys", "none"], "the file of access keys none cannot be read (No such file"),
        (["--data", "D", "--tls-cert", "a"], "--tls-cert is given without --tls-key: TLS needs both files"),
        (["--data", "D", "--tls-key", "a"], "--tls-key is given without --tls-cert: TLS needs both files"),
        (["--data", "D", "--api-rate", "fast"], "--api-rate is 'fast': write requests a second and how many at once"),
    ],
)
def test_what_cannot_be_is_a_sentence(tmp_path: Path, args: list[str], sentence: str) -> None:
    assert refusal(*(str(tmp_path) if arg == "D" else arg for arg in args)).startswith(sentence)


def test_what_dns_cannot_be_is_said_before_anybody_listens(tmp_path: Path) -> None:
    config = tmp_path / "registrar.yaml"
    config.write_text("registries: {cloud: {kind: cloudmap, region: eu-west-1}}\ndefaultRegistry: cloud\n")
    args = ["serve", "--config", str(config)]
    fixed = ["--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0"]
    keys_file = keys(tmp_path, READ, mode=0o600)
    done = warm.run([*args, *fixed, "--access-keys", str(keys_file)], ground.environment())
    assert done.returncode == 1
    assert "answers DNS itself" in done.stderr
    assert "listening: api" not in done.stderr
    assert "listening: probes" in done.stderr


def test_a_file_of_settings_may_list_the_registry(tmp_path: Path) -> None:
    config = tmp_path / "registrar.yaml"
    config.write_text("registries: {cloud: {kind: cloudmap, region: eu-west-1}}\ndefaultRegistry: cloud\n")
    said = refusal("--config", str(config), "--api-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0")
    assert said.startswith("--dns-listen is given, and registry cloud answers DNS itself: leave --dns-listen out")
    data = tmp_path / "listed"
    config.write_text(f"registries: {{default: {{kind: embedded, data: {data}, accountId: '123456789012'}}}}")
    with served(tmp_path, "--config", str(config), data=None) as one:
        namespace(client(one))
        assert ":123456789012:" in client(one).list_namespaces()["Namespaces"][0]["Arn"]
    assert (data / "registry.sqlite3").exists()


def test_keys_are_asked_for_on_loopback_too_and_exchanged_while_it_runs(tmp_path: Path) -> None:
    path = keys(tmp_path, READ, mode=0o644)
    with served(tmp_path, "--access-keys", str(path)) as one:
        assert one.said(f"anybody on this machine may read the access keys in {path}")
        assert client(one, READ).list_namespaces()["Namespaces"] == []
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            client(one).list_namespaces()
        with pytest.raises(ClientError, match="AccessDeniedException"):
            client(one, READ).create_http_namespace(Name="a")
        assert one.metric('kube_registrar_access_keys{role="read"}') == 1
        path.write_text("- broken")
        wait_until(lambda: one.said("what was read before is used on"), "the broken file to be told")
        assert client(one, READ).list_namespaces()["Namespaces"] == []
        keys(tmp_path, ADMIN)
        wait_until(lambda: one.said("the access-keys were read again"), "the new file to be read")
        client(one, ADMIN).create_http_namespace(Name="a")
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            client(one, READ).list_namespaces()
        reloads = 'kube_registrar_files_reloaded_total{result="%s",what="access-keys"}'
        assert (one.metric(reloads % "error"), one.metric(reloads % "ok")) == (1, 1)
        assert one.end() == 0
        log = one.log.read_text(encoding="utf-8")
        assert READ.secret not in log
        assert ADMIN.secret not in log


def test_beyond_this_machine_with_keys_and_tls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, names=("localhost", "data-localhost"))
    port = free_port()
    flags = ("--access-keys", str(keys(tmp_path, ADMIN)), "--tls-cert", str(cert), "--tls-key", str(key))
    with served(tmp_path, "--api-listen", f"0.0.0.0:{port}", *flags) as one:
        assert one.address("api") == f"https://0.0.0.0:{port}"
        assert not one.said("without TLS")
        api = boto3.client(
            "servicediscovery",
            endpoint_url=f"https://localhost:{port}",
            region_name="us-east-1",
            aws_access_key_id=ADMIN.id,
            aws_secret_access_key=ADMIN.secret,
            verify=str(cert),
            config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1}, proxies={}),
        )
        assert api.list_namespaces()["Namespaces"] == []


def test_beyond_this_machine_without_tls_is_warned_of(tmp_path: Path) -> None:
    port = free_port()
    with served(tmp_path, "--api-listen", f"0.0.0.0:{port}", "--access-keys", str(keys(tmp_path, ADMIN))) as one:
        assert one.said("the Cloud Map API is served without TLS")


async def test_discover_asks_it_with_the_credentials_of_the_environment(tmp_path: Path) -> None:
    with served(tmp_path, "--access-keys", str(keys(tmp_path, ADMIN, READ))) as one:
        api = client(one, ADMIN)
        register(api, service(api, namespace(api)), AWS_INSTANCE_IPV4="10.0.0.1")
        args = ["discover", "test-namespace", "flask-app", "--endpoint-url", one.address("api")]
        credentials = {"AWS_ACCESS_KEY_ID": READ.id, "AWS_SECRET_ACCESS_KEY": READ.secret}
        done = warm.run(args, {**ground.environment(), **credentials})
        assert (done.returncode, done.stderr) == (0, "")
        assert "i-1" in done.stdout
        done = warm.run(args, ground.environment())
        assert (done.returncode, done.stdout) == (1, "")
        assert "takes the credentials for invalid or expired (UnrecognizedClientException)" in done.stderr


def test_ctrl_c_is_an_end_like_another(tmp_path: Path) -> None:
    with served(tmp_path) as one:
        one.process.signal(signal.SIGINT)
        assert one.process.wait(20) == 0


def test_dns_is_answered_where_it_is_asked_for(tmp_path: Path) -> None:
    with served(tmp_path, "--dns-listen", "127.0.0.1:0") as one:
        assert one.address("dns").startswith("dns://127.0.0.1:")


def test_a_registry_of_another_kind_is_served_for_those_who_read(tmp_path: Path) -> None:
    """Cloud Map, which here is the embedded registry of another process."""
    (tmp_path / "behind").mkdir()
    with served(tmp_path / "behind") as behind:
        api = client(behind)
        register(api, service(api, namespace(api)), AWS_INSTANCE_IPV4="10.0.0.1", stage="dev")
        flags = ("--registry", "cloudmap", "--endpoint-url", behind.address("api"), "--region", "us-east-1")
        said = refusal(*flags, "--api-listen", "127.0.0.1:0")
        assert said.startswith(
            "registry default is not an embedded one, so whoever asks the Cloud Map API before it must"
        )
        access = ("--access-keys", str(keys(tmp_path, ADMIN)))
        with served(tmp_path, *flags, *access, data=None) as one:
            with pytest.raises(ClientError, match="UnrecognizedClientException"):
                client(one).list_namespaces()
            asked = {"NamespaceName": "test-namespace", "ServiceName": "flask-app"}
            found = client(one, ADMIN).discover_instances(**asked, QueryParameters={"stage": "dev"})
            assert [each["InstanceId"] for each in found["Instances"]] == ["i-1"]
            with pytest.raises(ClientError, match="CreateHttpNamespace is not served in front of registry default"):
                client(one, ADMIN).create_http_namespace(Name="a")
            assert one.metric('kube_registrar_api_requests_total{code="ok",operation="DiscoverInstances"}') == 1
