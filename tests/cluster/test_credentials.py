"""Every way to log in, and one sentence for each way it cannot be done."""

import base64
import json
import os
import re
import shutil
import ssl
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.cluster.credentials import Tls, load
from kube_registrar.model.errors import UserError

ADDRESS = "https://kube.example:6443"


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))


@pytest.fixture
def left_behind(tmp_path: Path) -> Any:
    return lambda: sorted(str(path) for path in (tmp_path / "temporary").rglob("*"))


def kubeconfig(path: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None, current: str = "dev") -> str:
    config = {
        "current-context": current,
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": ADDRESS, **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(config))
    return str(path)


def plugin(folder: Path, status: dict[str, Any] | None = None, *, code: str = "") -> dict[str, Any]:
    answer: dict[str, Any] = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": status,
    }
    script = folder / "plugin.py"
    script.write_text(code or f"print({json.dumps(answer)!r})")
    return {
        "apiVersion": answer["apiVersion"],
        "command": sys.executable,
        "args": [str(script)],
        "interactiveMode": "Never",
        "installHint": "pip install the plugin\n",
    }


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return a self-signed certificate and its key."""
    if shutil.which("openssl") is None:
        pytest.fail("these tests make certificates with openssl, which is not installed", pytrace=False)
    folder = tmp_path_factory.mktemp("pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=kube.example", "-keyout", str(folder / "key"), "-out", str(folder / "crt")),
        ],
        check=True,
        capture_output=True,
    )
    return (folder / "crt").read_bytes(), (folder / "key").read_bytes()


def test_a_token_of_a_kubeconfig(tmp_path: Path) -> None:
    found = load(kubeconfig(tmp_path / "config", {"token": "secret-1"}))
    assert found.server == ADDRESS
    assert found.headers == {"Authorization": "Bearer secret-1"}
    assert found.tls == Tls()
    assert found.source == f"context dev of {tmp_path / 'config'}"
    assert found.renew_at is None
    assert "secret-1" not in repr(found)


def test_an_explicit_kubeconfig_wins_and_kubeconfig_is_read_when_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = tmp_path / "home" / ".kube"
    usual.mkdir()
    kubeconfig(usual / "config", {"token": "home"})
    assert load().authorization == "Bearer home"
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path / "env", {"token": "env"}))
    assert load().authorization == "Bearer env"
    explicit = kubeconfig(tmp_path / "explicit", {"token": "explicit"})
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert load(explicit).authorization == "Bearer explicit"


def test_several_kubeconfigs_are_merged_and_one_context_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kubeconfig(tmp_path / "a", {"token": "a"})
    second = tmp_path / "b"
    second.write_text(
        json.dumps(
            {
                "contexts": [{"name": "prod", "context": {"cluster": "p", "user": "pu"}}],
                "clusters": [{"name": "p", "cluster": {"server": "https://prod.example"}}],
                "users": [{"name": "pu", "user": {"token": "b"}}],
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", f"{first}{os.pathsep}{second}")
    assert load().server == ADDRESS
    found = load(context="prod")
    assert (found.server, found.authorization) == ("https://prod.example", "Bearer b")


def test_client_certificates_are_taken_from_data_and_no_file_stays(
    tmp_path: Path, pem: tuple[bytes, bytes], left_behind: Any
) -> None:
    certificate, key = pem
    data = {"client-certificate-data": certificate, "client-key-data": key}
    user = {name: base64.b64encode(value).decode() for name, value in data.items()}
    cluster = {"certificate-authority-data": base64.b64encode(certificate).decode(), "tls-server-name": "other"}
    path = kubeconfig(tmp_path / "config", user, cluster)
    for _ in range(2):  # the loaders remember files they have made
        found = load(path)
        assert found.tls == Tls(ca=certificate, certificate=certificate, private_key=key, server_name="other")
        assert found.tls.context().cert_store_stats()["x509_ca"] == 1
    assert left_behind() == []
    assert b"PRIVATE" not in repr(found).encode()


def test_client_certificates_are_read_beside_the_kubeconfig(tmp_path: Path, pem: tuple[bytes, bytes]) -> None:
    (tmp_path / "crt").write_bytes(pem[0])
    (tmp_path / "key").write_bytes(pem[1])
    user = {"client-certificate": "crt", "client-key": "key"}
    found = load(kubeconfig(tmp_path / "config", user, {"insecure-skip-tls-verify": True}))
    assert found.tls == Tls(certificate=pem[0], private_key=pem[1], verify=False)
    assert found.tls.context().check_hostname is False


def test_a_token_file_is_read_again_every_minute(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    before = time.time()
    found = load(kubeconfig(tmp_path / "config", {"tokenFile": "token"}))
    assert found.authorization == "Bearer from-file"
    assert found.renew_at is not None
    assert before + 60 <= found.renew_at <= time.time() + 60


def test_an_exec_plugin_gives_a_token_that_is_renewed_before_it_ends(tmp_path: Path) -> None:
    before = time.time()
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before + 1000))
    user = {"exec": plugin(tmp_path, {"token": "from-plugin", "expirationTimestamp": ends})}
    found = load(kubeconfig(tmp_path / "config", user))
    assert found.authorization == "Bearer from-plugin"
    assert found.renew_at is not None
    assert before + 790 < found.renew_at < before + 850


def test_an_exec_plugin_gives_a_certificate(tmp_path: Path, pem: tuple[bytes, bytes], left_behind: Any) -> None:
    status = {"clientCertificateData": pem[0].decode(), "clientKeyData": pem[1].decode()}
    found = load(kubeconfig(tmp_path / "config", {"exec": plugin(tmp_path, status)}))
    assert found.tls == Tls(certificate=pem[0], private_key=pem[1])
    assert found.headers == {}
    assert left_behind() == []


def test_a_user_and_password(tmp_path: Path) -> None:
    found = load(kubeconfig(tmp_path / "config", {"username": "ada", "password": "x"}))
    assert found.authorization == "Basic " + base64.b64encode(b"ada:x").decode()


def test_impersonation_is_honoured(tmp_path: Path) -> None:
    found = load(kubeconfig(tmp_path / "config", {"token": "t", "as": "tester"}))
    assert found.headers == {"Authorization": "Bearer t", "Impersonate-User": "tester"}


def test_plain_http_needs_no_tls(tmp_path: Path) -> None:
    assert load(kubeconfig(tmp_path / "config", {"token": "t"}, {"server": "http://127.0.0.1:8001/"})).tls is None


def test_a_proxy_is_used_unless_the_environment_excludes_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kubeconfig(tmp_path / "config", {"token": "t"})
    assert load(path).proxy is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert load(path).proxy == "http://proxy.example:3128"
    monkeypatch.setenv("NO_PROXY", "kube.example")
    assert load(path).proxy is None


def service_account(folder: Path, pem: tuple[bytes, bytes], token: str = "pod-token\n") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_bytes(pem[0])
    return folder


def test_a_pod_uses_its_service_account_and_reads_its_token_again(
    tmp_path: Path, pem: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    folder = service_account(tmp_path / "account", pem)
    found = load(service_account=folder)
    assert found.server == "https://[fd00::1]:443"
    assert found.authorization == "Bearer pod-token"
    assert found.tls == Tls(ca=pem[0])
    assert found.source == "the pod's service account"
    assert found.renew_at is not None
    service_account(folder, pem, "rotated")
    assert load(service_account=folder).authorization == "Bearer rotated"


def test_a_service_account_that_cannot_be_used(
    tmp_path: Path, pem: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    folder = service_account(tmp_path / "account", pem, "")
    with pytest.raises(UserError) as error:
        load(service_account=folder)
    assert str(error.value) == (
        f"the pod's service account at {folder} cannot be used (its token is empty): "
        "check the pod's automountServiceAccountToken"
    )


def test_a_service_account_that_is_not_whole(
    tmp_path: Path, pem: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    folder = service_account(tmp_path / "account", pem)
    (folder / "ca.crt").unlink()
    with pytest.raises(UserError, match=re.escape("(its ca.crt cannot be read: No such file or directory)")):
        load(service_account=folder)


def test_a_pod_without_the_port_of_its_api_server(
    tmp_path: Path, pem: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.delenv("KUBERNETES_SERVICE_PORT", raising=False)
    with pytest.raises(UserError, match=r"must both be set in a pod: found '10.0.0.1' and ''"):
        load(service_account=service_account(tmp_path / "account", pem))


def test_a_pod_reaches_its_api_server_by_a_proxy_unless_told_otherwise(
    tmp_path: Path, pem: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    folder = service_account(tmp_path / "account", pem)
    assert load(service_account=folder).proxy is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert load(service_account=folder).proxy == "http://proxy.example:3128"
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
    assert load(service_account=folder).proxy is None


def test_a_pod_needs_nothing_of_the_kubernetes_package(tmp_path: Path, pem: tuple[bytes, bytes]) -> None:
    folder = service_account(tmp_path / "account", pem)
    code = (
        "import sys; from pathlib import Path; import kube_registrar.cli.run; import kube_registrar.cli.running; "
        "from kube_registrar.cluster.credentials import load; "
        f"print(load(service_account=Path({str(folder)!r})).server, 'kubernetes' in sys.modules)"
    )
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443", "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=pod, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["https://10.0.0.1:443", "False"]


def test_nothing_is_configured(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load(service_account=tmp_path / "none")
    assert str(error.value) == (
        "no cluster is configured: KUBECONFIG is not set, ~/.kube/config does not exist, and this is not a pod with a "
        "service account. Give --kubeconfig FILE"
    )


def test_a_context_without_any_kubeconfig() -> None:
    with pytest.raises(UserError, match="context 'dev' needs a kubeconfig"):
        load(context="dev")


def test_an_unknown_context_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", {"token": "t"})
    with pytest.raises(UserError) as error:
        load(path, "prod")
    assert str(error.value) == f"kubeconfig {path} has no context 'prod': there is dev"


def test_no_current_context(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", {"token": "t"}, current="")
    with pytest.raises(UserError) as error:
        load(path)
    assert str(error.value) == f"kubeconfig {path} has no current-context: choose one with --context; there is dev"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [secret-7", "kubeconfig {path} is not YAML (line 1): correct it, or give another with --kubeconfig"),
        ("just secret-7", "kubeconfig {path} is not one: it must hold clusters, contexts and users"),
        ("", "kubeconfig {path} cannot be used: Invalid kube-config. {path} file is empty"),
        ("{}", "kubeconfig {path} has no current-context: choose one with --context; there is none"),
        ("current-context: dev\ncontexts: [3]", "kubeconfig {path} has no context 'dev': there is none"),
    ],
)
def test_a_file_that_is_no_kubeconfig(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load(str(path))
    assert str(error.value) == said.format(path=path)


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist: give one that does with --kubeconfig"):
        load(str(tmp_path / "none"))


def test_a_folder_is_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\)"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("user", "cluster", "said"),
    [
        ({"client-certificate": "gone"}, {}, "File does not exist: "),
        ({"token": "t", "as-groups": ["system:masters"]}, {}, "as-groups or as-user-extra, which is not supported"),
        ({"token": "t"}, {"certificate-authority": "gone.crt"}, "gone.crt"),
    ],
)
def test_parts_that_are_not_there(user: dict[str, Any], cluster: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        load(kubeconfig(tmp_path / "config", user, cluster))


def test_an_exec_plugin_that_is_not_installed(tmp_path: Path) -> None:
    user = {"exec": {**plugin(tmp_path), "command": "no-such-plugin"}}
    path = kubeconfig(tmp_path / "config", user)
    with pytest.raises(UserError) as error:
        load(path)
    assert str(error.value) == (
        f"context dev of {path} needs 'no-such-plugin' to log in, which is not installed (pip install the plugin)"
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit('please log in')", "exec: process returned 1. please log in"),
        ("print('no json')", "exec: failed to decode process output: Expecting value: line 1 column 1 (char 0)"),
        (
            'print(\'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {}}\')',
            "it gave neither a token nor a certificate with key",
        ),
    ],
)
def test_an_exec_plugin_that_fails_is_an_error_and_not_an_anonymous_login(code: str, said: str, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", {"exec": plugin(tmp_path, code=code)})
    with pytest.raises(UserError) as error:
        load(path)
    assert str(error.value) == f"context dev of {path} could not log in with {sys.executable!r}: {said}"


def test_certificates_that_are_no_good(pem: tuple[bytes, bytes]) -> None:
    with pytest.raises(UserError, match="certificates cannot be used"):
        Tls(ca=b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").context()
    with pytest.raises(UserError, match="certificates cannot be used"):
        Tls(certificate=pem[0], private_key=b"nonsense").context()


def test_an_encrypted_key_is_an_error_and_asks_nobody(pem: tuple[bytes, bytes], tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(pem[1])
    encrypted = subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", str(tmp_path / "key"), "-passout", "pass:secret"],
        check=True,
        capture_output=True,
    ).stdout
    with pytest.raises(UserError, match="without a passphrase"):
        Tls(certificate=pem[0], private_key=encrypted).context()


def test_a_client_key_is_never_readable_by_others(
    pem: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch, left_behind: Any
) -> None:
    modes = []
    original = ssl.SSLContext.load_cert_chain

    def spy(self: Any, path: Path, **options: Any) -> None:
        modes.append((stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)))
        original(self, path, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    Tls(certificate=pem[0], private_key=pem[1]).context()
    assert modes == [(0o600, 0o700)]
    assert left_behind() == []


def test_reading_credentials_builds_no_api_models(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config", {"token": "t"})
    code = (
        "import sys; from kube_registrar.cluster import credentials; assert 'kubernetes' not in sys.modules; "
        f"credentials.load({path!r}); print(sum(n.startswith('kubernetes.client.models.') for n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "0"
