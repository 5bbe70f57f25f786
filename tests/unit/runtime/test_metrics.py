import pytest

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
    assert 'kube_registrar_build_info{version="1.2.3"} 1.0' in lines_of(other)


def test_a_request_is_counted_by_its_result_and_its_error_passes_through() -> None:
    metrics = Metrics("0")
    with metrics.request("default", "instances"):
        pass
    with pytest.raises(Retryable), metrics.request("default", "instances"):
        raise Retryable("busy")
    with pytest.raises(KeyError), metrics.request("default", "instances"):
        raise KeyError
    lines = lines_of(metrics)
    for result in ("ok", "RegistryRetry", "error"):
        line = 'kube_registrar_registry_requests_total{operation="instances",registry="default",result="%s"} 1.0'
        assert line % result in lines
    assert (
        'kube_registrar_registry_request_duration_seconds_count{operation="instances",registry="default"} 3.0' in lines
    )


def test_what_others_count_is_read_when_it_is_rendered() -> None:
    metrics = Metrics("0")
    reconnects, dropped, waiting = 0, 0, 0
    metrics.read_watches(lambda: [WatchState("Pod", reconnects, 1_700_000_000.5), WatchState("Namespace", 0, None)])
    metrics.read_events_dropped(lambda: dropped)
    metrics.before_render(lambda: metrics.queue_depth.set(waiting))
    reconnects, dropped, waiting = 3, 4, 5
    lines = lines_of(metrics)
    assert 'kube_registrar_watch_reconnects_total{kind="Pod"} 3.0' in lines
    assert 'kube_registrar_watch_last_event_timestamp_seconds{kind="Pod"} 1.7000000005e+09' in lines
    assert not any('timestamp_seconds{kind="Namespace"}' in line for line in lines)
    assert "kube_registrar_events_dropped_total 4.0" in lines
    assert "kube_registrar_queue_depth 5.0" in lines
