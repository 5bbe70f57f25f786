"""A Kubernetes API client of the smallest kind, for tests: JSON in, JSON out, one connection a call."""

import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

from kube_registrar.testing.errors import GroundError

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"  # merges conditions by their type
APPLY_PATCH = "application/apply-patch+yaml"  # server-side apply; JSON is YAML
JSON = "application/json"


class ApiError(GroundError):
    """The API server answered with an error: its HTTP `status`, and the `reason` and `message` of its Status object."""

    def __init__(self, call: str, status: int, body: bytes) -> None:
        try:
            answer = json.loads(body)
        except ValueError:
            answer = {}
        if not isinstance(answer, dict):
            answer = {}
        self.status = status
        self.reason = str(answer.get("reason", ""))
        self.message = str(answer.get("message", body.decode(errors="replace")[:300]))
        super().__init__(f"{call}: {status} {self.reason}: {self.message}")


class ApiUnreachable(GroundError):
    """No answer: refused, reset, timed out, or not the server whose certificate we trust."""


class ApiClient:
    """Calls one API server with one token; safe to share between threads."""

    def __init__(self, url: str, token: str, ca_file: Path) -> None:
        self.url = url
        self._token = token
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # loopback never goes through the machine's proxy
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(ca_file))),
        )

    def raw(
        self, method: str, path: str, body: Any = None, *, content_type: str | None = None, timeout: float = 30.0
    ) -> bytes:
        """Call `path` with a JSON body and return the answer as it came. Raises ApiError or ApiUnreachable."""
        return self._call(method, path, body, content_type, timeout)[0]

    def warned(self, method: str, path: str, body: Any = None) -> list[str]:
        """Call `path` with a JSON body and return the warnings that came with the answer. Raises as `raw` does."""
        _, headers = self._call(method, path, body, None, 30.0)
        # 299 - "text", with \" and \\ in the text
        texts = (each.partition('"')[2].removesuffix('"') for each in headers.get_all("Warning") or ())
        return [re.sub(r"\\(.)", r"\1", each) for each in texts]

    def _call(
        self, method: str, path: str, body: Any, content_type: str | None, timeout: float
    ) -> tuple[bytes, Message]:
        if content_type is None:
            content_type = MERGE_PATCH if method == "PATCH" else JSON
        request = urllib.request.Request(  # noqa: S310  # the URL is the API server's
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": content_type},
        )
        call = f"{method} {path}"
        try:
            with self._opener.open(request, timeout=timeout) as response:
                answer: bytes = response.read()
                headers: Message = response.headers
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(call, error.code, error.read()) from None
        except (OSError, http.client.HTTPException) as error:
            raise ApiUnreachable(f"{call}: {error}") from error
        return answer, headers

    def request(
        self, method: str, path: str, body: Any = None, *, content_type: str | None = None, timeout: float = 30.0
    ) -> dict[str, Any]:
        """
        Call `path` (with its query) and return the JSON answer. PATCH is a merge patch unless `content_type` says.

        Raises ApiError for an answer that is an error, ApiUnreachable when there is none within `timeout` seconds.
        """
        answer: dict[str, Any] = json.loads(
            self.raw(method, path, body, content_type=content_type, timeout=timeout) or "{}"
        )
        return answer

    def stream(self, path: str) -> Iterator[bytes]:
        """GET `path`, such as a watch, and give the lines of the answer as they come, until the server ends it."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self._token}"})  # noqa: S310  # the URL is the API server's
        with self._opener.open(request, timeout=60.0) as response:
            yield from iter(response.readline, b"")

    def get(self, path: str) -> dict[str, Any]:
        """GET an object or a list."""
        return self.request("GET", path)

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """POST a new object to its collection."""
        return self.request("POST", path, body)

    def patch(self, path: str, body: Any, *, content_type: str = MERGE_PATCH) -> dict[str, Any]:
        """PATCH an object; a merge patch unless `content_type` says."""
        return self.request("PATCH", path, body, content_type=content_type)

    def delete(self, path: str) -> dict[str, Any]:
        """DELETE an object or a collection."""
        return self.request("DELETE", path)
