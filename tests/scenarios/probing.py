"""What a process of ours says of itself: probes and metrics, asked for as anybody would."""

import re
import urllib.error
import urllib.request

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def probed(url: str, seconds: float) -> tuple[int, str]:
    """Ask for `/healthz`, `/readyz` or `/metrics`; return the status and the text, 0 where nobody answers."""
    try:
        with _DIRECT.open(url, timeout=seconds) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def value_of(line: str, text: str) -> float | None:
    """Return the value of one series in the text of metrics, named as it stands there: `name{label="value"}`."""
    found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None
