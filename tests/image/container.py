"""A container of the smallest kind: the root of the image, read-only, with the mounts that a pod of the chart has.

No container engine: a mount namespace of this machine, and in it a user who owns nothing and has no name. The root is
an image that was unpacked (`KUBE_REGISTRAR_IMAGE_ROOT`), or else what the image adds to its base, on the Python and the
libraries of this machine. Needs root, unshare and overlayfs.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.image_tree import COMMAND, PACKAGES

from kube_registrar.testing.processes import Child

USER = 65532
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
DEVICES = ("null", "urandom")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Image:
    """What containers run: an unpacked image, or a tree and the Python (its prefix) that it runs on here."""

    root: Path | None
    tree: Path
    python: Path

    def mounts(self, top: Path) -> Sequence[str]:
        """Return the commands that make the root at `top / "root"`, of `top / "points"`, where mounts will be put."""
        root, points = top / "root", top / "points"
        if self.root:
            return [f"mount -t overlay -o ro,lowerdir={points}:{self.root} image {root}"]
        (points / "usr").mkdir()
        (points / "python").mkdir()
        for name in ("bin", "lib", "lib64"):
            (points / name).symlink_to(f"usr/{name}")
        return [
            f"mount -o bind,ro {points} {root}",
            f"mount -t overlay -o ro,lowerdir={self.tree / 'usr'}:/usr usr {root}/usr",
            f"mount -o bind,ro {self.python} {root}/python",
        ]

    @property
    def command(self) -> Sequence[str]:
        """The entry point. Elsewhere than in the image its first line names no Python."""
        return [f"/{COMMAND}"] if self.root else [*self.interpreter, f"/{COMMAND}"]

    @property
    def interpreter(self) -> Sequence[str]:
        """The image's Python."""
        return ["/usr/bin/python3"] if self.root else ["/python/bin/python3.13"]

    @property
    def environment(self) -> Mapping[str, str]:
        """What the image's configuration sets, and what Debian's Python knows by itself."""
        found = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/nonroot", "LANG": "C.UTF-8"}
        found |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        return found if self.root else {**found, "PYTHONPATH": f"/{PACKAGES}", "LD_LIBRARY_PATH": "/python/lib"}


@dataclass(frozen=True, slots=True)
class Pod:
    """A rendered pod's spec, and the data of the ConfigMaps and Secrets that it mounts, by name."""

    spec: Json
    files: Mapping[str, Mapping[str, str]]
    hosts: Mapping[str, str]
    account: Mapping[str, str] | None = None
    variables: Mapping[str, str] | None = None


def start(image: Image, pod: Pod, top: Path, command: Sequence[str] | None = None) -> Child:
    """Run the pod's one container, or another command in its place, in `top`; its log is `top / "log"`."""
    (container,) = pod.spec["containers"]
    points = top / "points"
    (top / "root").mkdir(parents=True)
    (points / "etc").mkdir(parents=True)
    (points / "etc/hosts").write_text("".join(f"{address} {name}\n" for name, address in pod.hosts.items()))
    (points / "etc/nsswitch.conf").write_text("hosts: files\n")
    (points / "proc").mkdir()
    (points / "dev").mkdir()
    for name in DEVICES:
        (points / "dev" / name).touch()
    script = ["set -e", *image.mounts(top), f"mount -t proc -o ro proc {top}/root/proc"]
    script += [f"mount -o bind /dev/{name} {top}/root/dev/{name}" for name in DEVICES]
    volumes = {each["name"]: each for each in pod.spec["volumes"]}
    for mount in container["volumeMounts"]:
        script += _mount(top, mount["mountPath"], volumes.get(mount["name"], {}), pod)
    if pod.account:
        script += _given(top, ACCOUNT, pod.account)
    # Named before the capabilities go: `chroot` leaves nothing but the user's rights, which are none.
    told = [*image.command, *container["args"]] if command is None else command
    user = f"chroot --userspec={USER}:{USER} --groups={USER} {top / 'root'}"
    script.append(f"exec {user} {shlex.join(told)}")
    run = ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(script)]
    environment = {**image.environment, **_variables(container, pod), **(pod.variables or {})}
    environment["PATH"] += ":/usr/sbin:/sbin"  # of the tools that make the container
    return Child(container["name"], run, top / "log", env=environment)


def _mount(top: Path, path: str, volume: Json, pod: Pod) -> Sequence[str]:
    """Return what mounts a volume: files that are given read-only, or a folder of the pod's own group (fsGroup)."""
    sources = volume["projected"]["sources"] if "projected" in volume else [volume]
    files: dict[str, str] = {}
    for source in sources:
        for kind, key in (("configMap", "name"), ("secret", "name"), ("secret", "secretName")):
            if key in source.get(kind, {}):
                found = pod.files[source[kind][key]]
                items = {each["key"]: each["path"] for each in source[kind].get("items", [])} or {k: k for k in found}
                files |= {target: found[name] for name, target in items.items()}
    if files:
        return _given(top, path, files)
    folder = _folder(top, path)
    folder.chmod(0o2775)
    return [f"mount -o bind {folder} {top}/root{path}"]


def _given(top: Path, path: str, files: Mapping[str, str]) -> Sequence[str]:
    folder = _folder(top, path)
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o440)
        os.chown(folder / name, 0, USER)
    folder.chmod(0o755)
    return [f"mount -o bind,ro {folder} {top}/root{path}"]


def _folder(top: Path, path: str) -> Path:
    """Make the folder of a volume, and the place where it is mounted; return the folder."""
    (top / "points" / path[1:]).mkdir(parents=True)
    folder = top / "volumes" / path[1:].replace("/", "-")
    folder.mkdir(parents=True)
    os.chown(folder, 0, USER)
    return folder


def _variables(container: Json, pod: Pod) -> Mapping[str, str]:
    found = {}
    for each in container.get("env", []):
        if "valueFrom" in each:
            reference = each["valueFrom"]["secretKeyRef"]
            found[each["name"]] = pod.files[reference["name"]][reference["key"]]
        else:
            found[each["name"]] = each["value"]
    return found
