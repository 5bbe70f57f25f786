"""What went wrong in a call, in the words and classes of `kube_registrar.model.errors`.

Sources: "Consul HTTP API, overview" (statuses), agent/http.go (which errors get which status), acl/errors.go (how a
missing permission is worded; before 1.13 it was "Permission denied" and no more).
"""

import re
from dataclasses import dataclass
from typing import Final

import aiohttp

from kube_registrar.model.errors import Forbidden, NotFound, Refused, RegistryError, Retryable, Unreachable
from kube_registrar.registries.consul.options import Options

FORBIDDEN: Final = 403
TOO_LARGE: Final = 413
_BAD: Final = 400
_SERVER_ERROR: Final = 500
_BUSY: Final = (429, 503)
_LONGEST_TEXT: Final = 480

_LACKS = re.compile(r"lacks permission '(\w+):(\w+)'(?: on \\?\"([^\"\\]*)\\?\")?")
_DENIED: Final = "Permission denied"
_UNKNOWN_TOKEN: Final = ("ACL not found", "token does not exist")
_MISSING: Final = ("Missing service registration", "Missing node registration")
_TAKEN_NODE: Final = ("is reserved by node", "already been reserved")
_NO_LEADER: Final = "No cluster leader"
"""Before anything was written down: Consul looks for its leader first."""
_CLOSED: Final = (aiohttp.ServerDisconnectedError, aiohttp.ClientConnectionResetError)


@dataclass(frozen=True, slots=True)
class Faults:
    """Puts what one Consul answers into our errors; the options name what to allow, and where."""

    options: Options

    def of_answer(self, status: int, text: str, about: str, *, write: bool) -> RegistryError:
        """Return the error for an answer that is none of those that the caller knows what to do with."""
        said = one_line(text)
        if status == FORBIDDEN or said.startswith(_UNKNOWN_TOKEN):
            return self.of_denial(said, about)
        if status in _BUSY:
            return Retryable(f"{about}: Consul is too busy to answer ({status}: {said})", after=1.0)
        if status == TOO_LARGE:
            rule = "what Consul's txn_max_req_len and kv_max_value_size allow, 512 KiB unless they say otherwise"
            return Refused(f"{about}: it is too large for Consul ({said}); allowed: {rule}", field="spec", rule=rule)
        if status == _BAD:
            return Refused(f"{about}: Consul refuses it: {said}. Correct it", field="spec", rule=said)
        if "No path to datacenter" in said:
            where = f"option datacenter is {self.options.datacenter!r}"
            return Unreachable(f"{about}: Consul knows no way to the datacenter ({said}); {where}. Correct it")
        if _NO_LEADER in said:
            why = f"{about}: Consul has no leader ({said}), so most of its servers are down or cannot reach each other"
            return Unreachable(f"{why}. Start or connect them")
        is_clear = status < _SERVER_ERROR
        text = f"{about}: Consul at {self.options.address} answered {status}: {said}"
        return Unreachable(text, doubtful=write and not is_clear)

    def of_denial(self, said: str, about: str) -> RegistryError:
        """Return the error for a token that is unknown, or lacks a rule; it names the rule."""
        if any(words in said for words in _UNKNOWN_TOKEN):
            where = f"in {self.options.token_file}" if self.options.token_file else "that was given"
            return Unreachable(
                f"{about}: Consul does not know the token {where} (option tokenFile): {said}. Put there the secret id "
                "of a token with the policy of deploy/consul/policy.hcl; it is read again by itself"
            )
        found = _LACKS.search(said)
        rule = self._rule(*found.groups()) if found else self._rules()
        what = "the anonymous token" if self.options.token_file is None else "the token"
        return Forbidden(f"{about}: {what} may not do it ({said}). Add to its ACL policy: {rule}", rule=rule)

    def of_filtered(self, about: str) -> RegistryError:
        """Return the error for an answer from which Consul left out what the token may not read."""
        rule = 'node_prefix "" { policy = "read" } and service_prefix "" { policy = "read" }'
        text = f"{about}: the answer lacks what the token may not read. Add to its ACL policy: {rule}"
        return Forbidden(text, rule=rule)

    def of_agents_node(self, about: str) -> RegistryError:
        """Return the error for an option `node` that names the node of an agent."""
        rule = "the name of a node that no Consul agent has"
        text = f"{about}: node {self.options.node!r} is that of an agent; the option node allows {rule}. Correct it"
        return Refused(text, field="node", rule=rule)

    def of_operation(self, what: str, about: str) -> RegistryError:
        """Return the error for one operation because of which a transaction was rolled back."""
        said = one_line(what)
        if _DENIED in said or any(words in said for words in _UNKNOWN_TOKEN):
            return self.of_denial(said, about)
        if any(words in said for words in _MISSING):
            return NotFound(f"{about}: there is no such instance ({said}). Register it first")
        if any(words in said for words in _TAKEN_NODE):
            return self.of_agents_node(about)
        if "Invalid Service Meta" in said:
            return Refused(f"{about}: Consul refuses it: {said}. Correct it", field="attributes", rule=said)
        return Retryable(f"{about}: Consul did not take it: {said}", after=1.0)

    def of_transport(self, error: Exception, about: str, *, connected: bool, write: bool) -> RegistryError:
        """Return the error for a call without an answer; `connected`: it may have been sent."""
        said = one_line(error) if str(error) else type(error).__name__
        if not connected:
            hint = "; certificates are read again by themselves" if self.options.address.startswith("https:") else ""
            return Unreachable(f"{about}: no connection to Consul at {self.options.address}: {said}{hint}")
        text = f"{about}: no answer from Consul at {self.options.address}: {said}"
        # In TLS 1.3 a certificate is refused once the connection stands, and uvloop does not tell by which alert.
        if self.options.address.startswith("https:") and isinstance(error, _CLOSED):
            what = "our certificate" if self.options.cert_file else "that we show no certificate"
            todo = (
                "Renew certFile and keyFile if they ran out" if self.options.cert_file else "Give certFile and keyFile"
            )
            text = f"{text}; it goes down, or does not take {what}. {todo}; they are read again by themselves"
        return Unreachable(text, doubtful=write)

    def _rule(self, resource: str, access: str, name: str | None) -> str:
        prefixes = {
            "key": f'key_prefix "{self.options.prefix}"',
            "service": 'service_prefix ""',
            "node": f'node "{self.options.node}"' if access == "write" else 'node_prefix ""',
        }
        if resource == "key":
            access = "write"
        target = prefixes.get(resource, f'{resource} "{name or ""}"')
        return f'{target} {{ policy = "{access}" }}'

    def _rules(self) -> str:
        return ", ".join(
            self._rule(*each, None) for each in (("key", "write"), ("service", "write"), ("node", "write"))
        )


def one_line(text: object) -> str:
    """Return the text on one line, cut: whatever a server sends ends up in events and logs."""
    line = " ".join(str(text).split()) or "no message"
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"
