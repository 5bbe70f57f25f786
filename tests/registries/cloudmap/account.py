"""An account without a wire: operations that take a time of their own, on a clock of its own, paged before filtered."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from kube_registrar.registries.cloudmap.client import Client
from kube_registrar.registries.cloudmap.options import DEFAULT_RATES
from kube_registrar.registries.limits import Limiter, Rate
from kube_registrar.testing.clock import FakeClock

Json = dict[str, Any]
Reply = Json | Exception


def error(code: str, **fields: str) -> Exception:
    """Return what the SDK raises for an error of this code, with fields of its own."""
    answer: Any = {"Error": {"Code": code, "Message": f"scripted {code}"}, **fields}
    made: Exception = ClientError(answer, "Operation")
    return made


@dataclass
class Account:
    """Operations, oldest first, of others too. `order` is that of ListOperations: -1 is the newest first."""

    clock: FakeClock
    takes: float = 0.6
    skew: float = 0.0
    spelling: str = "SUCCESS"
    order: int = -1
    fails: Mapping[str, str] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    log: list[tuple[str, str, float]] = field(default_factory=list)
    requests: list[tuple[str, Json]] = field(default_factory=list)
    first: dict[str, list[Reply]] = field(default_factory=dict)
    """Replies that come before those of the account, by operation."""
    always: dict[str, Reply] = field(default_factory=dict)
    """Replies instead of them."""

    def now(self) -> float:
        return self.clock.time() + self.skew

    def others(self, count: int) -> None:
        self.log += [(f"theirs-{number}", "", self.now()) for number in range(count)]

    def asked(self, operation: str) -> list[Json]:
        return [request for name, request in self.requests if name == operation]

    def answer(self, operation: str, request: Json) -> Json:
        self.requests.append((operation, dict(request)))
        scripted = self.first.get(operation)
        reply = scripted.pop(0) if scripted else self.always.get(operation)
        if isinstance(reply, Exception):
            raise reply
        if reply is not None:
            return reply
        answers: Mapping[str, Callable[[Json], Json]] = {
            "ListNamespaces": lambda _: {"Namespaces": [{"Id": "ns-1", "Name": "test-namespace", "Type": "HTTP"}]},
            "ListServices": lambda _: {"Services": [{"Id": "srv-1", "Name": "flask-app"}]},
            "RegisterInstance": self._accept,
            "DeregisterInstance": self._accept,
            "GetOperation": self._get,
            "ListOperations": self._list,
        }
        return answers[operation](request)

    def _accept(self, request: Json) -> Json:
        operation_id = f"op-{len(self.log)}"
        self.log.append((operation_id, request["InstanceId"], self.now()))
        return {"OperationId": operation_id}

    def _get(self, request: Json) -> Json:
        found = [entry for entry in self.log if entry[0] == request["OperationId"]]
        if not found or found[0][1] in self.lost:
            raise error("OperationNotFound")
        [(operation_id, instance, began)] = found
        status = self._status(instance, began)
        why = {"ErrorCode": self.fails[instance], "ErrorMessage": "no"} if status == "FAIL" else {}
        ended = began + (0.0 if status == "PENDING" else self.takes)
        dates = {"CreateDate": datetime.fromtimestamp(began, UTC), "UpdateDate": datetime.fromtimestamp(ended, UTC)}
        return {"Operation": {"Id": operation_id, "Status": status, **dates, **why}}

    def _list(self, request: Json) -> Json:
        entries = self.log[:: self.order]
        begin, most = int(request.get("NextToken", 0)), request["MaxResults"]
        [dates] = request["Filters"]
        first, last = (float(value) for value in dates["Values"])
        page = [
            {"Id": operation_id, "Status": self._status(instance, began)}
            for operation_id, instance, began in entries[begin : begin + most]
            if instance not in self.lost and first <= began <= last
        ]
        return {"Operations": page, **({"NextToken": str(begin + most)} if len(entries) > begin + most else {})}

    def _status(self, instance: str, began: float) -> str:
        if self.now() < began + self.takes:
            return "PENDING"
        return "FAIL" if instance in self.fails else self.spelling


class AccountClient(Client):
    """The backend's client, asking an account without a wire; each call takes 20 ms."""

    def __init__(self, account: Account, rates: Mapping[str, Rate] = DEFAULT_RATES) -> None:
        limiter = Limiter(rates, Rate(100, 100), account.clock)
        super().__init__(None, ThreadPoolExecutor(1), limiter, account.clock, lambda: None)
        self._account = account

    async def _send(self, operation: str, request: Mapping[str, object]) -> Json:
        await self._account.clock.sleep(0.02)
        return self._account.answer(operation, dict(request))
