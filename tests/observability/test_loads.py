"""How busy connectors are: counted together while one takes the other's place, and no counter ever falls."""

from connector_host.observability.loads import Load
from connector_host.observability.metrics import Metrics


def load(waiting, errors):
    return Load({"export": waiting}, {"writing": 1}, {"writing": 2}, {"deadlock": errors})


def lines(metrics):
    return set(metrics.text().decode().splitlines())


def test_old_and_new_count_together_during_an_exchange():
    metrics = Metrics()
    metrics.loads.watch("HR", lambda: load(3, 1))
    metrics.loads.watch("HR", lambda: load(4, 1))
    assert 'connector_host_queue_depth{connector="HR",operation="export"} 7.0' in lines(metrics)
    assert 'connector_host_database_errors_total{class="deadlock",connector="HR"} 2.0' in lines(metrics)


def test_what_a_closed_one_counted_is_kept():
    def old():
        return load(3, 5)

    metrics = Metrics()
    metrics.loads.watch("HR", old)
    metrics.loads.forget("HR", old)
    metrics.loads.forget("HR", old)
    assert 'connector_host_database_errors_total{class="deadlock",connector="HR"} 5.0' in lines(metrics)
    assert not any(line.startswith("connector_host_queue_depth{") for line in lines(metrics))


def test_a_connector_in_each_state_is_told_apart():
    metrics = Metrics()
    metrics.loads.watch("HR", lambda: load(0, 0))
    metrics.loads.watch("Badges", lambda: load(9, 0))
    assert 'connector_host_queue_depth{connector="Badges",operation="export"} 9.0' in lines(metrics)
    assert 'connector_host_queue_depth{connector="HR",operation="export"} 0.0' in lines(metrics)
    assert 'connector_host_database_connections_max{connector="HR",purpose="writing"} 2.0' in lines(metrics)
