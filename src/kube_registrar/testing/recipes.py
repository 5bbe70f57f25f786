"""What is built from which Go module, and how. The versions stand in `modules/*/go.mod`, and only there."""

import hashlib
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "modules"
GO_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")
# Part of the cache's key: raise it when the same lock files must give other binaries.
RECIPE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """A wrapper module: nothing but a `go.mod` with `tool` lines, and the sums of all that they need."""

    name: str
    """The folder in `modules/`."""
    module: str
    """The module whose version the binaries tell as theirs."""
    packages: Mapping[str, str]
    """Binary -> main package."""
    version_flags: tuple[str, ...]
    """`-X` settings of the linker; {version}, {major} and {minor} are filled in."""
    copies: Mapping[str, str]
    """File in our cache -> file in the module, for what the binary needs when it runs."""

    def lock_files(self) -> tuple[Path, Path]:
        """Return the pinned `go.mod` and `go.sum`."""
        return MODULES / self.name / "go.mod", MODULES / self.name / "go.sum"

    def version(self) -> str:
        """Return the pinned version of `module`, e.g. `v1.37.2`."""
        text = self.lock_files()[0].read_text(encoding="utf-8")
        found = re.search(rf"^(?:require)?\s+{re.escape(self.module)} (v\S+)", text, re.MULTILINE)
        if found is None:
            raise ValueError(f"modules/{self.name}/go.mod requires no {self.module}")
        return found.group(1)

    def linker_flags(self) -> str:
        """Return the value of `-ldflags`: no symbols, and the version as the project's own builds tell it."""
        version = self.version()
        major, minor, _ = version.removeprefix("v").split(".", 2)
        settings = (flag.format(version=version, major=major, minor=minor) for flag in self.version_flags)
        return " ".join(["-s", "-w", *(f"-X {setting}" for setting in settings)])

    def key(self) -> str:
        """Return the name of this recipe's folder in the cache: another lock, system or recipe is another folder."""
        digest = hashlib.sha256()
        for part in (*(path.read_bytes() for path in self.lock_files()), repr(self).encode()):
            digest.update(hashlib.sha256(part).digest())
        digest.update(f"{RECIPE_VERSION} {GO_FLAGS} {sys.platform} {platform.machine()}".encode())
        return f"{self.name}-{self.version()}-{digest.hexdigest()[:16]}"


RECIPES = (
    Recipe(
        "etcd",
        "go.etcd.io/etcd/server/v3",
        {"etcd": "go.etcd.io/etcd/server/v3"},
        (),  # the version is a constant of its source
        {},
    ),
    Recipe(
        "kwok",
        "sigs.k8s.io/kwok",
        {"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
        ("sigs.k8s.io/kwok/pkg/consts.Version={version}",),
        {
            f"stages/{name}": f"kustomize/stage/{folder}/{name}"
            for folder, name in (
                ("node/fast", "node-initialize.yaml"),
                ("node/heartbeat-with-lease", "node-heartbeat-with-lease.yaml"),
            )
        },
    ),
    Recipe(
        "kubernetes",
        "k8s.io/kubernetes",
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
        },
        (
            # What Kubernetes' own build sets; else `kubectl version` and compatibility checks see v0.0.0.
            "k8s.io/component-base/version.gitVersion={version}",
            "k8s.io/component-base/version.gitMajor={major}",
            "k8s.io/component-base/version.gitMinor={minor}",
            "k8s.io/component-base/version.gitTreeState=archive",
            "k8s.io/client-go/pkg/version.gitVersion={version}",
        ),
        {},
    ),
    Recipe(
        "helm",
        "helm.sh/helm/v4",
        {"helm": "helm.sh/helm/v4/cmd/helm"},
        ("helm.sh/helm/v4/internal/version.version={version}",),
        {},
    ),
    Recipe(
        "coredns",
        "github.com/coredns/coredns",
        {"coredns": "github.com/coredns/coredns"},
        (),  # the version is a constant of its source
        {},
    ),
    Recipe(
        "consul",
        "github.com/hashicorp/consul",
        {"consul": "github.com/hashicorp/consul"},
        (),  # the version is a file of its source
        {},
    ),
    Recipe(
        "promtool",
        "github.com/prometheus/prometheus",
        {"promtool": "github.com/prometheus/prometheus/cmd/promtool"},
        (),
        {},
    ),
    Recipe(
        "actionlint",
        "github.com/rhysd/actionlint",
        {"actionlint": "github.com/rhysd/actionlint/cmd/actionlint"},
        (),
        {},
    ),
)

NAMES = tuple(binary for recipe in RECIPES for binary in recipe.packages)
"""Every binary that can be built."""

ON_REQUEST = frozenset({"helm", "coredns", "consul", "promtool", "actionlint"})
"""Binaries that are no part of a control plane."""

CONTROL_PLANE = tuple(name for name in NAMES if name not in ON_REQUEST)
"""What a control plane runs on."""


def recipes_for(names: Iterable[str]) -> tuple[Recipe, ...]:
    """Return the recipes that make these binaries, quick ones first. Raises ValueError for a name that none makes."""
    wanted = set(names)
    if unknown := sorted(wanted.difference(NAMES)):
        raise ValueError(f"unknown binary {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return tuple(recipe for recipe in RECIPES if wanted.intersection(recipe.packages))
