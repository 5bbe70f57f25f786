"""Options: each that is wrong is named, with what was found and what is allowed."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.etcd.options import Options, read_options

pytestmark = pytest.mark.extended

NAME = RegistryName("edge")
ONE = {"endpoints": ["http://127.0.0.1:2379"]}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "registry 'edge' of kind etcd has no option endpoints; needed: a list of client URLs"),
        ({"endpoints": []}, "option endpoints is []; allowed: a list of client URLs"),
        ({"endpoints": ["127.0.0.1:2379"]}, "option endpoints is '127.0.0.1:2379'; allowed: a list of client URLs"),
        ({"endpoints": ["http://a:x"]}, "option endpoints is 'http://a:x'; allowed: a list of client URLs"),
        ({"endpoints": ["http://a:1", "https://b:1"]}, "URLs that all begin with https:// or all with http://"),
        (
            ONE | {"endpointUrl": "http://a:1"},
            "options endpoints and endpointUrl both name members. Remove one of them",
        ),
        (ONE | {"prefx": "/x/"}, "has no option 'prefx'; allowed: endpoints"),
        (ONE | {"prefix": "x"}, "option prefix is 'x'; allowed: a path such as /kube-registrar/. Correct it"),
        (ONE | {"skydnsPath": "/a/b"}, "option skydnsPath is '/a/b'; allowed: a path of one part, such as /skydns"),
        (ONE | {"prefix": "/skydns/ours/"}, "one in the other; allowed: two that are apart"),
        (ONE | {"user": "x"}, "option user goes with passwordFile only. Add that, or remove it"),
        (ONE | {"user": ""}, "option user is ''; allowed: a text that is not empty"),
        (ONE | {"passwordFile": "/nowhere"}, "option passwordFile is '/nowhere', where there is no file"),
        (ONE | {"caFile": __file__}, "which is not encrypted, beside caFile or certFile; allowed then: https:// URLs"),
        ({"endpoints": "https://a:1", "certFile": __file__}, "option certFile goes with keyFile only"),
        (ONE | {"leaseSeconds": 60}, "option leaseSeconds goes with leaseName only"),
        (ONE | {"leaseName": "a"}, "option leaseName goes with leaseSeconds only"),
        (ONE | {"leaseSeconds": 5, "leaseName": "a"}, "option leaseSeconds is 5; allowed: 0 (instances stay"),
        (ONE | {"leaseSeconds": True, "leaseName": "a"}, "option leaseSeconds is True; allowed: 0 (instances stay"),
    ],
)
def test_what_is_wrong_is_said(config: Mapping[str, object], said: str) -> None:
    with pytest.raises(UserError) as caught:
        read_options(config, NAME)
    assert said in str(caught.value)
    assert "edge" in str(caught.value)


def test_endpoints_may_be_text_and_all_else_is_left_out() -> None:
    found = read_options({"endpointUrl": "http://a:1/, http://b:1"}, NAME)
    assert found == Options(("http://a:1", "http://b:1"))


def test_all_may_be_given(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    files = {"userFile": str(file), "passwordFile": str(file), "caFile": file, "certFile": file, "keyFile": file}
    lease = {"leaseSeconds": 60, "leaseName": "prod"}
    found = read_options({"endpoints": ["https://a:1"], "prefix": "/x/y/", "skydnsPath": "/z", **files, **lease}, NAME)
    assert found == Options(("https://a:1",), "/x/y/", "/z", "", file, file, file, file, file, 60, "prod")
