"""Sending to a real server that takes, is slow, refuses, or is down."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from openlineage.client.event_v2 import RunEvent
from openlineage_lab import Server, tell_whole_run

from omopcloudetl.core.plan import CompiledWorkflowPlan
from omopcloudetl.core.runs import RunRecord
from omopcloudetl.openlineage import plugin, reporter
from omopcloudetl.openlineage.sending import Client, Sender

Tell = Callable[[], float]


@pytest.fixture
def tell(plan: CompiledWorkflowPlan, run: RunRecord) -> Tell:
    """Tells a run of six events, and returns the seconds that it took."""

    def told() -> float:
        start = time.perf_counter()
        tell_whole_run(plan, run, plugin)
        return time.perf_counter() - start

    return told


def configure(url: str, more: str = "") -> None:
    """Events are sent to a URL, each tried once and then twice more."""
    retry = "retry: {total: 2, connect: 2, read: 2, backoff_factor: 0.01}"
    Path("openlineage.yml").write_text(f"transport: {{type: http, url: '{url}', {retry}{more}}}\n", encoding="utf-8")


def test_a_server_gets_every_event(server: Server, tell: Tell, caplog: pytest.LogCaptureFixture) -> None:
    """All events arrive, in order, with the key that the configuration names, and nothing is warned of."""
    configure(server.url, ", auth: {type: api_key, apiKey: key}")
    tell()
    assert [event["eventType"] for event in server.got] == [
        "START",
        "START",
        "COMPLETE",
        "START",
        "COMPLETE",
        "COMPLETE",
    ]
    assert set(server.authorizations) == {"Bearer key"}
    assert caplog.messages == []


def test_the_library_s_own_thread_is_waited_for(server: Server, tell: Tell, caplog: pytest.LogCaptureFixture) -> None:
    """The transport async_http, which sends by itself, has sent everything when the run is over."""
    Path("openlineage.yml").write_text(f"transport: {{type: async_http, url: '{server.url}'}}\n", encoding="utf-8")
    tell()
    assert len(server.got) == 6
    assert caplog.messages == []


def test_a_server_that_is_down_is_told_once(tell: Tell, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Without a server the run goes on; one line at the end says how many events were lost, and why."""
    configure("http://127.0.0.1:1")
    seconds = tell()
    assert seconds < reporter.WAIT
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages[0].startswith("OpenLineage: 6 of 6 events were not sent: ConnectionError: ")


def test_a_server_that_refuses_is_told_with_its_answer(
    server: Server, tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    """What the server answers is in the warning; the key is not."""
    server.status = 401
    configure(server.url, ", auth: {type: api_key, apiKey: planted-key}")
    tell()
    assert "6 of 6 events were not sent: HTTPError: 401" in caplog.messages[0]
    assert "planted-key" not in caplog.text


def test_a_server_that_is_slow_is_not_waited_for(
    server: Server, tell: Tell, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run ends although the server takes its time for each event; what is missing is counted."""
    monkeypatch.setattr(reporter, "WAIT_FOR_ONE", 0.3)
    server.delay = 2.0
    configure(server.url)
    assert tell() < 8.0  # all would take 12 s; the client is imported in it, on a machine that may be busy
    assert "of 6 events were not sent: the server did not answer in time" in caplog.messages[0]


def test_the_wait_at_the_end_can_be_set(
    server: Server, tell: Tell, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`OMOPCLOUDETL_OPENLINEAGE_WAIT` lets a slow server have all events; a word that is no number is told."""
    server.delay = 0.4
    environment.setattr(reporter, "WAIT_FOR_ONE", 0.1)
    environment.setenv(reporter.WAIT_VARIABLE, "60")
    configure(server.url)
    tell()
    assert len(server.got) == 6
    environment.setenv(reporter.WAIT_VARIABLE, "long")
    assert reporter._limits() == (reporter.WAIT, 0.1)
    assert caplog.messages == ["OpenLineage: OMOPCLOUDETL_OPENLINEAGE_WAIT is 'long'; write a number of seconds"]


def test_a_wrong_configuration_is_told_once(tell: Tell, caplog: pytest.LogCaptureFixture) -> None:
    """A transport that cannot be made costs the events, not the run, and its password is not shown."""
    configure("somebody:planted-word@nowhere")
    tell()
    (message,) = caplog.messages
    assert message.startswith("OpenLineage: 6 of 6 events were not sent: the transport cannot be made: ")
    assert "planted-word" not in message


def test_events_beyond_the_capacity_are_dropped_and_counted() -> None:
    """A queue that is full takes no more, does not wait, and says so at the end."""
    all_put = threading.Event()

    def never() -> Client:
        assert all_put.wait(20), "putting waits for sending"
        raise ConnectionError("nobody is there")

    def build() -> RunEvent:
        raise AssertionError("without a client no event is built")

    sender = Sender(never, capacity=2)
    for _ in range(50):
        sender.put(build)
    all_put.set()
    told = sender.finish(20.0, 20.0)
    assert told is not None
    assert told.startswith("50 of 50 events were not sent: ")


def test_the_logs_of_others_are_left_alone(server: Server, tell: Tell) -> None:
    """After a run the loggers of the libraries have no filter of ours."""
    configure(server.url)
    tell()
    assert logging.getLogger("urllib3.connectionpool").filters == []
