"""Credentials from kubeconfig files, through the loaders of the `kubernetes` package.

Added to what the loaders do: errors in one sentence (they log a failed plugin and go on without credentials),
impersonation, the end of a token's life, and no key file that stays behind.
"""

import copy
import subprocess
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from kubernetes.config.dateutil import parse_rfc3339
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from kube_registrar.cluster.credentials import ROTATING_SECONDS, Credentials
from kube_registrar.cluster.errors import short
from kube_registrar.cluster.loaded import made, renewal
from kube_registrar.model.errors import UserError


def load_kubeconfig(paths: str, context: str | None) -> Credentials:
    """Read the merged kubeconfig files of `paths` (joined by os.pathsep). Raises UserError."""
    merger = _merged(paths)
    name = context or merger.config.safe_get("current-context")
    _check_context(merger.config, name, paths)
    source = f"context {name} of {paths}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            return _load(merger, name, source, folder)
        except (ConfigException, OSError, ValueError, KeyError, TypeError) as error:
            # A loader's message quotes names and paths, never tokens; one of another kind might.
            why = short(str(error)) if isinstance(error, ConfigException | OSError) else type(error).__name__
            raise UserError(f"{source} cannot be used: {why}") from None


def _merged(paths: str) -> KubeConfigMerger:
    try:
        merger = KubeConfigMerger(paths)
    except yaml.YAMLError as error:
        # The message itself would quote the file, which may hold a token.
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise UserError(
            f"kubeconfig {paths} is not YAML{where}: correct it, or give another with --kubeconfig"
        ) from None
    except ConfigException as error:
        raise UserError(f"kubeconfig {paths} cannot be used: {short(str(error))}") from None
    except OSError as error:
        raise UserError(
            f"kubeconfig {error.filename or paths} cannot be read ({error.strerror}): make it readable for this user"
        ) from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(f"kubeconfig {paths} is not one: it must hold clusters, contexts and users") from None
    if merger.config is None:
        raise UserError(f"kubeconfig {paths} does not exist")
    return merger


def _check_context(config: Any, name: str | None, paths: str) -> None:
    # Each is a ConfigNode of the loader's; what is no mapping has no name.
    contexts = [one.value for one in config.value.get("contexts") or ()]
    known = sorted(str(one["name"]) for one in contexts if isinstance(one, dict) and "name" in one)
    there_is = f"there is {', '.join(known)}" if known else "there is none"
    if not name:
        raise UserError(f"kubeconfig {paths} has no current-context: choose one with --context; {there_is}")
    if name not in known:
        raise UserError(f"kubeconfig {paths} has no context {name!r}: {there_is}")


def _load(merger: KubeConfigMerger, context: str, source: str, folder: str) -> Credentials:
    user, cluster = _parts(merger.config, context)
    found = Configuration()
    if user is not None and "exec" in user and "token" not in user and "tokenFile" not in user:
        given = _run_plugin(user, cluster, source)
        _loader(copy.deepcopy(merger.config), context, folder, without_exec=True).load_and_set(found)
        return _with_plugin(found, given, user, source, folder)
    # An identity provider may take back the refresh token it replaced: unless the new one is kept, kubectl is out.
    loader = _loader(merger.config, context, folder, persister=merger.save_changes)
    loader.load_and_set(found)
    expires = getattr(loader, "expiry", None)
    renew_at = renewal(expires, time.time()) if isinstance(expires, datetime) else None
    if user is not None and ("tokenFile" in user or "auth-provider" in user) and renew_at is None:
        renew_at = time.time() + ROTATING_SECONDS
    return made(found, source, impersonate=_impersonation(user), renew_at=renew_at)


def _parts(config: Any, context: str) -> tuple[Any, Any]:
    """Return the user (None if the context has none) and the cluster of a context."""
    chosen = config["contexts"].get_with_name(context)["context"]
    cluster = config["clusters"].get_with_name(chosen["cluster"])["cluster"]
    if not chosen.safe_get("user") or not config.safe_get("users"):
        return None, cluster
    user = config["users"].get_with_name(chosen["user"])
    return user.safe_get("user") and user["user"], cluster


def _loader(
    config: Any, context: str, folder: str, *, persister: Any = None, without_exec: bool = False
) -> KubeConfigLoader:
    if without_exec:
        user, _ = _parts(config, context)
        user.value.pop("exec")
    return KubeConfigLoader(
        config_dict=config,
        active_context=context,
        config_base_path=None,
        config_persister=persister,
        temp_file_path=folder,
    )


def _run_plugin(user: Any, cluster: Any, source: str) -> Mapping[str, Any]:
    """Run the exec plugin and return its status. Raises UserError: the loader itself would only log and go on."""
    plugin = user["exec"]
    hint = f" ({plugin.safe_get('installHint').strip()})" if plugin.safe_get("installHint") else ""
    command = plugin.safe_get("command")
    try:
        base = str(Path(cluster.path).resolve().parent) if cluster.path else ""
        status = ExecProvider(plugin, base, cluster).run()
    except FileNotFoundError:
        raise UserError(f"{source} needs {command!r} to log in, which is not installed{hint}") from None
    except (ConfigException, OSError, subprocess.SubprocessError) as error:
        raise UserError(f"{source} could not log in with {command!r}: {short(str(error))}") from None
    if not isinstance(status, dict) or not (
        "token" in status or {"clientCertificateData", "clientKeyData"} <= status.keys()
    ):
        raise UserError(
            f"{source} could not log in with {command!r}: it gave neither a token nor a certificate with key"
        )
    return status


def _with_plugin(found: Configuration, given: Mapping[str, Any], user: Any, source: str, folder: str) -> Credentials:
    if "token" in given:
        found.api_key["BearerToken"] = f"Bearer {given['token']}"
    if "clientCertificateData" in given and "clientKeyData" in given:
        found.cert_file = _written(folder, "plugin.crt", given["clientCertificateData"])
        found.key_file = _written(folder, "plugin.key", given["clientKeyData"])
    expires = given.get("expirationTimestamp")
    renew_at = renewal(parse_rfc3339(expires), time.time()) if expires else None
    return made(found, source, impersonate=_impersonation(user), renew_at=renew_at)


def _written(folder: str, name: str, text: str) -> str:
    path = Path(folder) / name
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")
    return str(path)


def _impersonation(user: Any) -> dict[str, str]:
    # The loaders pass over `as`; acting with more rights than kubectl would is worse than refusing groups.
    if user is None:
        return {}
    if user.safe_get("as-groups") or user.safe_get("as-user-extra"):
        raise UserError("the kubeconfig's user has as-groups or as-user-extra, which is not supported: use `as` alone")
    return {"Impersonate-User": user["as"]} if user.safe_get("as") else {}
