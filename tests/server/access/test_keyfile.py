"""Access keys as people write them, and what is said where they are wrong: never the secret."""

from pathlib import Path

import pytest

from kube_registrar.model.errors import UserError
from kube_registrar.server.access.keyfile import read
from kube_registrar.server.access.keys import AccessKey, Role

SECRET = "a-secret-that-nobody-may-see"
ENTRY = f"- {{accessKeyID: AKIDONE, secretAccessKey: {SECRET}, role: read}}\n"


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read(path)
    text = str(caught.value)
    assert SECRET not in text
    assert SECRET[:10] not in text
    assert "\n" not in text
    return text


def test_a_list_of_keys_is_read(tmp_path: Path) -> None:
    written(tmp_path / "two.txt", f"{SECRET}-2\n")
    text = (
        f"{ENTRY}- accessKeyID: AKIDTWO\n  secretAccessKeyFile: two.txt\n  role: admin\n  registryNamespaces: [a, b]\n"
    )
    found = read(written(tmp_path / "keys.yaml", text))
    assert found.keys == (
        AccessKey("AKIDONE", SECRET, Role.READ),
        AccessKey("AKIDTWO", f"{SECRET}-2", Role.ADMIN, frozenset({"a", "b"})),
    )
    assert found.files == (tmp_path / "keys.yaml", tmp_path / "two.txt")
    assert found.exposed == ()


def test_a_folder_is_read_as_a_mounted_secret_is(tmp_path: Path) -> None:
    data = tmp_path / "..2026"
    data.mkdir()
    written(data / "one.yaml", ENTRY)
    written(data / "two.yaml", ENTRY.replace("ONE", "TWO"))
    (tmp_path / "..data").symlink_to("..2026")
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    assert [key.id for key in read(tmp_path).keys] == ["AKIDONE", "AKIDTWO"]


def test_files_that_anybody_may_read_are_told(tmp_path: Path) -> None:
    secret = written(tmp_path / "secret", SECRET, 0o644)
    path = written(tmp_path / "keys.yaml", "- {accessKeyID: AKIDONE, secretAccessKeyFile: secret, role: write}", 0o640)
    assert read(path).exposed == (secret,)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no list: write `- accessKeyID: …` and what belongs to it, for each key"),
        (f"accessKeyID: {SECRET}", "holds no list"),
        ("[]", "holds no access keys: write one at least, or leave --access-keys out"),
        (f"- {SECRET}", "key 1 is no mapping: allowed are accessKeyID, secretAccessKey, "),
        (f"- {{{SECRET}: 1}}", "key 1 has a member that is not known: allowed are accessKeyID"),
        (f"- {{accessKeyID: 12, secretAccessKey: {SECRET}, role: read}}", "key 1 has no accessKeyID: 3 to 128 letters"),
        (ENTRY.replace("role: read", "role: owner"), "key 1 (AKIDONE) has no role: allowed are read, write, admin"),
        (ENTRY.replace(", role: read", ""), "key 1 (AKIDONE) has no role"),
        ("- {accessKeyID: AKIDONE, role: read}", "needs secretAccessKey or secretAccessKeyFile: give one of the two"),
        (ENTRY.replace("role", "secretAccessKeyFile: x, role"), "needs secretAccessKey or secretAccessKeyFile"),
        (ENTRY.replace(SECRET, "short"), "must be a text of 20 printable ASCII characters or more"),
        (ENTRY.replace(SECRET, "1234567890123456789012345"), "is a number as it stands: put it in quotes"),
        (ENTRY.replace("role", "registryNamespaces: [], role"), "must be a list of names of registry namespaces"),
        (ENTRY + ENTRY, "has the access key AKIDONE twice: keep one of them"),
        (f"- {{accessKeyID: AKIDONE\n  secretAccessKey: {SECRET}", "is no YAML: write a list of access keys"),
        (f"- !{SECRET} x", "is no YAML"),
        (ENTRY.replace(SECRET, '"tab\\tin it and twenty more"'), "must be a text of 20 printable"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path / "keys.yaml", text)
    said = refusal(path)
    assert said.startswith(str(path))
    assert sentence in said


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none").endswith("cannot be read (No such file or directory): correct --access-keys")
    (tmp_path / "empty").mkdir()
    assert "is empty" in refusal(tmp_path / "empty")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "no UTF-8 text" in refusal(tmp_path / "binary")
