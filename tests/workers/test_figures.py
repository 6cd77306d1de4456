"""What several processes measured, as one host's: sums, save where a sum would say nothing, and counters never fall."""

from connector_host.observability.metrics import Metrics
from connector_host.workers.figures import Figures


def measured(*, requests=0, up=None, days=None):
    metrics = Metrics()
    metrics.expect("HR", ("InDoubt",))
    for _ in range(requests):
        metrics.request_begins()
        metrics.request_ends("HR", "GET", 200, 0.02)
    if up is not None:
        metrics.operation_ends("HR", "read", "ok" if up else "Unavailable", 0.1)
    metrics.watch_certificate(lambda: days)
    return metrics


def shown(figures, workers=2):
    lines = figures.text(workers).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


COUNT = 'connector_host_request_seconds_count{connector="HR",method="GET",status="200"}'
LOST = 'connector_host_errors_total{connector="HR",error="InDoubt"}'
UP = 'connector_host_connector_up{connector="HR"}'


def test_what_is_counted_is_summed():
    figures = Figures()
    figures.take(1, measured(requests=2).families())
    figures.take(2, measured(requests=3).families())
    found = shown(figures)
    assert found[COUNT] == "5.0"
    assert found[COUNT.replace("_count{", "_bucket{").replace("method", 'le="0.025",method')] == "5.0"
    assert float(found["process_resident_memory_bytes"]) > 2 * 10_000_000
    assert found["connector_host_workers"] == "2.0"


def test_the_least_counts_where_a_sum_would_say_nothing():
    figures = Figures()
    for process, days in enumerate((30, None, 90)):
        figures.take(process, measured(days=days).families())
    found = shown(figures)
    assert found["connector_host_certificate_days_left"] == "30.0"
    assert [value for name, value in found.items() if name.startswith("connector_host_info")] == ["1.0"]


def test_whoever_asked_the_database_last_says_whether_it_is_there():
    early, late = measured(up=False), measured(up=True)
    figures = Figures()
    figures.take(1, late.families())
    figures.take(2, early.families())
    assert shown(figures)[UP] == "1.0"
    early.operation_ends("HR", "read", "Unavailable", 0.1)
    figures.take(2, early.families())
    assert shown(figures)[UP] == "0.0"


def test_a_counter_does_not_fall_when_processes_end():
    figures = Figures()
    for process in range(3):
        figures.take(process, measured(requests=2, up=True).families())
        figures.forget(process)
        figures.restarts += 1
    figures.take(9, measured(requests=1).families())
    found = shown(figures, 1)
    assert found[COUNT] == "7.0"
    assert found["connector_host_worker_restarts_total"] == "3.0"
    assert UP not in found
    assert found["connector_host_requests_in_hand"] == "0.0"


def test_a_failure_that_never_happened_is_0_and_the_first_one_is_seen_to_come():
    figures, one = Figures(), measured()
    figures.take(1, one.families())
    figures.take(2, measured().families())
    assert shown(figures)[LOST] == "0.0"
    one.operation_ends("HR", "add", "InDoubt", 0.1)
    figures.take(1, one.families())
    figures.forget(1)
    assert shown(figures)[LOST] == "1.0"


def test_a_failure_that_nobody_foresaw_has_a_class_that_begins_at_0():
    metrics = Metrics()
    metrics.expect("HR", ("InDoubt",))
    line = 'connector_host_errors_total{connector="HR",error="Unforeseen"}'
    assert f"{line} 0.0" in metrics.text().decode()
    for name in ("ZeroDivisionError", "KeyError"):
        metrics.operation_ends("HR", "add", name, 0.1)
    text = metrics.text().decode()
    assert f"{line} 2.0" in text
    assert 'error="KeyError"' not in text
    assert 'outcome="KeyError"' in text
