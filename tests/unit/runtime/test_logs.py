import io
import json
import logging
from collections.abc import Iterator

import pytest

from kube_registrar.model.refs import NamespaceRef, ObjectRef, RegistryName, ServiceRef, Uid
from kube_registrar.runtime.logs import about, configure, without_secrets

SERVICE = ServiceRef(NamespaceRef(RegistryName("default"), "test-namespace"), "flask-app")
POD = ObjectRef("v1", "Pod", "default", "web-0", Uid("u"))


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def written(form: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure(form, level, stream)
    return stream


def test_json_lines_hold_the_message_and_what_it_is_about() -> None:
    stream = written("json")
    logging.getLogger("kube_registrar.sync").info(
        "registered %d", 3, extra=about(object=POD, registry="default", service=SERVICE) | {"address": "http://[::1]:1"}
    )
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "kube_registrar.sync",
        "message": "registered 3",
        "object": "Pod default/web-0",
        "registry": "default",
        "service": "default:test-namespace/flask-app",
        "address": "http://[::1]:1",
    }


def test_plain_lines_hold_the_same_and_quote_what_has_spaces() -> None:
    stream = written("plain")
    logging.getLogger("kube_registrar").warning("two\nlines", extra=about(object=POD, service=SERVICE))
    stamp, _, rest = stream.getvalue().partition(" ")
    assert stamp.endswith("Z")
    assert rest == 'WARNING two lines object="Pod default/web-0" service=default:test-namespace/flask-app\n'


@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_traceback_is_for_those_who_ask_for_it(form: str) -> None:
    def fail() -> None:
        try:
            raise LookupError("no such pod")
        except LookupError:
            logging.getLogger("kube_registrar").exception("failed")

    quiet = written(form, "info")
    fail()
    assert "LookupError: no such pod" in quiet.getvalue()
    assert "Traceback" not in quiet.getvalue()
    assert quiet.getvalue().count("\n") == 1
    loud = written(form, "debug")
    fail()
    assert "Traceback" in loud.getvalue()


def test_libraries_speak_only_when_something_is_wrong() -> None:
    stream = written("plain")
    for name in ("kopf.objects", "aiohttp.access", "botocore.credentials", "urllib3.connectionpool", "asyncio"):
        logging.getLogger(name).info("step by step")
        logging.getLogger(name).warning("%s is worried", name)
    lines = stream.getvalue().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        "kopf.objects is worried",
        "aiohttp.access is worried",
        "botocore.credentials is worried",
        "urllib3.connectionpool is worried",
        "asyncio is worried",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abcdefghij.klm-nop", "Authorization: Bearer [secret]"),
        ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key=[secret]"),
        ('{"password": "hunter2", "user": "me"}', '{"password": "[secret]", "user": "me"}'),
        ("?X-Amz-Signature=0123abcd&X-Amz-Date=1", "?X-Amz-Signature=[secret]&X-Amz-Date=1"),
        ("?X-Amz-Security-Token=0123abcd&x=1", "?X-Amz-Security-Token=[secret]&x=1"),
        ("token=abc", "token=[secret]"),
        ("got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln here", "got [secret] here"),
        ("https://me:hunter2@example.org/x", "https://[secret]@example.org/x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "[secret]"),
        ("NextToken is page 2", "NextToken is page 2"),
        ("Secret default/web is not read", "Secret default/web is not read"),
        ("http://127.0.0.1:8081 stage=dev,version=1.0.0", "http://127.0.0.1:8081 stage=dev,version=1.0.0"),
    ],
)
def test_secrets_are_cut_out_and_nothing_else(text: str, expected: str) -> None:
    assert without_secrets(text) == expected


def test_a_secret_is_cut_out_of_extras_and_errors_too() -> None:
    stream = written("json", "debug")
    try:
        raise ValueError("token=abc")
    except ValueError:
        logging.getLogger("kube_registrar").exception("x", extra={"address": "http://a:b@host"})
    line = json.loads(stream.getvalue())
    assert line["address"] == "http://[secret]@host"
    assert line["error"] == "ValueError: token=[secret]"
