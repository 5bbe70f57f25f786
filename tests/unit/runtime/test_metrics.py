import re

import pytest
from prometheus_client.core import Metric

from kube_registrar.model.errors import Retryable
from kube_registrar.runtime.metrics import Metrics, WatchState


def lines_of(metrics: Metrics) -> set[str]:
    return {line for line in metrics.render().decode().splitlines() if not line.startswith("#")}


def test_two_processes_worth_of_metrics_do_not_know_each_other() -> None:
    one, other = Metrics("1.2.3"), Metrics("1.2.3")
    one.instance_changes.labels("default", "register", "ok").inc()
    line = 'kube_registrar_instance_changes_total{action="register",registry="default",result="ok"} 1.0'
    assert line in lines_of(one)
    assert line not in lines_of(other)
    assert 'kube_registrar_build_info{revision="unknown",version="1.2.3"} 1.0' in lines_of(other)


def test_a_request_is_counted_by_its_result_and_its_error_passes_through() -> None:
    metrics = Metrics("0")
    with metrics.request("default", "instances"):
        pass
    with pytest.raises(Retryable), metrics.request("default", "instances"):
        raise Retryable("busy")
    with pytest.raises(KeyError), metrics.request("default", "instances"):
        raise KeyError
    lines = lines_of(metrics)
    for code in ("ok", "RegistryRetry", "error"):
        line = 'kube_registrar_registry_requests_total{code="%s",operation="instances",registry="default"} 1.0'
        assert line % code in lines
    assert (
        'kube_registrar_registry_request_duration_seconds_count{operation="instances",registry="default"} 3.0' in lines
    )


def test_what_others_count_is_read_when_it_is_rendered() -> None:
    metrics = Metrics("0")
    reconnects, dropped, waiting = 0, 0, 0
    metrics.read_watches(lambda: [WatchState("Pod", reconnects, 1_700_000_000.5), WatchState("Namespace", 0, None)])
    metrics.read_events_dropped(lambda: dropped)
    metrics.before_render(lambda: metrics.queue_depth.labels("service").set(waiting))
    reconnects, dropped, waiting = 3, 4, 5
    lines = lines_of(metrics)
    assert 'kube_registrar_watch_reconnects_total{kind="Pod"} 3.0' in lines
    assert 'kube_registrar_watch_last_event_timestamp_seconds{kind="Pod"} 1.7000000005e+09' in lines
    assert not any('timestamp_seconds{kind="Namespace"}' in line for line in lines)
    assert "kube_registrar_events_dropped_total 4.0" in lines
    assert 'kube_registrar_queue_depth{kind="service"} 5.0' in lines


BASE_UNITS = ("_seconds", "_bytes", "_ratio", "_celsius", "_volts", "_amperes", "_joules", "_grams", "_meters")
OTHER_UNITS = re.compile(
    r"_(milliseconds|microseconds|nanoseconds|minutes|hours|days|ms|us|ns|percent|kilobytes|megabytes|kb|mb)(_|$)"
)


def families() -> list[Metric]:
    metrics = Metrics("0")
    metrics.read_watches(lambda: [WatchState("Pod", 0, 0.0)])
    metrics.read_events_dropped(lambda: 0)
    return list(metrics.registry.collect())


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_every_metric_is_named_and_explained_as_prometheus_asks(family: Metric) -> None:
    """What `promtool check metrics` looks at, and Prometheus' page on naming."""
    name = family.name
    assert re.fullmatch(r"kube_registrar(_[a-z]+)+", name)
    assert family.documentation.endswith(".")
    assert not OTHER_UNITS.search(name)
    assert not re.search(r"_(gauge|counter|histogram|summary|count|sum|bucket)$", name)
    if family.type != "counter":
        assert not name.endswith("_total")
    if family.type == "histogram":
        assert name.endswith(BASE_UNITS)
    if "timestamp" in name:
        assert name.endswith("_timestamp_seconds")
        assert family.type == "gauge"
    assert family.name.endswith("_info") == (name == "kube_registrar_build_info")


def test_every_counter_is_shown_as_a_total() -> None:
    text = Metrics("0").render().decode()
    counters = re.findall(r"^# TYPE (\S+) counter$", text, re.MULTILINE)
    assert len(counters) >= 7
    assert [name for name in counters if not name.endswith("_total")] == []


def test_no_label_grows_with_pods() -> None:
    found = {label for family in Metrics("0").registry._names_to_collectors.values() for label in labels_of(family)}
    assert not found & {"pod", "ip", "address", "instance", "instance_id", "uid", "node", "le", "quantile"}
    assert "registry" in found


def labels_of(family: object) -> tuple[str, ...]:
    return tuple(getattr(family, "_labelnames", ()))
