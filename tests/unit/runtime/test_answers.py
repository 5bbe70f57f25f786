"""Answers are counted as the library's own counter and histogram would count them."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from kube_registrar.runtime.answers import Answers

BOUNDS = (0.001, 0.01, 0.1)
ANSWERED = (("Discover", "ok", 0.0005), ("Discover", "ok", 0.01), ("Register", "ok", 5.0), ("Discover", "Denied", 0.05))


def test_they_are_rendered_as_the_library_renders_its_own() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    answers = Answers(BOUNDS)
    ours.register(answers)
    help_text = (
        "Requests to our own Cloud Map API; code is ok or the error's code, operation is unknown for what is none."
    )
    requests = Counter("kube_registrar_api_requests_total", help_text, ["operation", "code"], registry=theirs)
    durations = Histogram(
        "kube_registrar_api_request_duration_seconds",
        "How long the answers took.",
        ["operation"],
        buckets=BOUNDS,
        registry=theirs,
    )
    for operation, code, seconds in ANSWERED:
        answers.count(operation, code, seconds)
        requests.labels(operation, code).inc()
        durations.labels(operation).observe(seconds)
    assert _lines(ours) == _lines(theirs)


def _lines(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
