"""An endpoint that answers AssumeRole, and AssumeRoleWithWebIdentity, with a key that tells whose role was assumed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs

from tests.threads import answering

_ANSWER = """<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><Credentials>
<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>{until}</Expiration></Credentials></{action}Result></{action}Response>"""
_REFUSAL = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>you may not</Message></Error></ErrorResponse>"""


@dataclass
class Sts:
    """Answers with a key that tells the account; `asked` is what it was asked."""

    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 3600.0
    refuses: bool = False

    def answer(self, body: str) -> tuple[int, str]:
        """Return the status and the text."""
        asked = {key: values[0] for key, values in parse_qs(body).items()}
        self.asked.append(asked)
        if self.refuses:
            return 403, _REFUSAL
        until = datetime.now(UTC) + timedelta(seconds=self.seconds)
        key, written = f"AKID{asked['RoleArn'][13:25]}", until.strftime("%Y-%m-%dT%H:%M:%SZ")
        return 200, _ANSWER.format(action=asked["Action"], key=key, until=written)


@contextmanager
def serving(sts: Sts) -> Iterator[Sts]:
    """Serve on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, text = sts.answer(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with answering(Handler) as url:
        sts.url = url
        yield sts
