"""The folder broker: no reader ever meets half a message."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection, Exchange, Producer, Queue

from workers.transport import folder_broker

QUEUE = Queue("work", Exchange("work"), routing_key="work")
SENDER = """
import sys
from pathlib import Path
from tests.workers.transport.test_folder_broker import send
send(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
"""


def connect(folder: Path) -> Connection:
    """Return a connection to the broker in `folder`."""
    options = {
        "data_folder_in": str(folder / "queue"),
        "data_folder_out": str(folder / "queue"),
        "control_folder": str(folder / "control"),
    }
    return Connection("filesystem://", transport=folder_broker.TRANSPORT, transport_options=options)


def send(folder: Path, sender: str, count: int) -> None:
    """Send `count` messages."""
    with connect(folder) as connection:
        producer = Producer(connection, QUEUE.exchange, routing_key="work")
        for number in range(count):
            producer.publish({"id": [sender, number]}, declare=[QUEUE])


def take(channel: Any) -> Any:
    """Return the next message's content, or None when there is none yet."""
    try:
        message = channel._get("work")
    except Empty:
        return None
    return json.loads(base64.b64decode(message["body"]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a broker."""
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_what_is_sent_arrives(folder: Path) -> None:
    send(folder, "portal", 1)
    with connect(folder) as receiver:
        assert take(receiver.default_channel) == {"id": ["portal", 0]}
        assert take(receiver.default_channel) is None


def test_what_a_killed_sender_left_unfinished_is_no_message(folder: Path) -> None:
    send(folder, "portal", 1)
    [message] = (folder / "queue").iterdir()
    message.rename(folder / "queue" / ".0f1e.unfinished")
    with connect(folder) as receiver:
        assert take(receiver.default_channel) is None


def test_senders_and_receiver_at_once_lose_nothing(folder: Path) -> None:
    """kombu's own transport now and then hands its reader an empty message here, and it ends."""
    each, senders = 200, ("alder", "birch", "cedar")
    sending = [
        subprocess.Popen([sys.executable, "-c", SENDER, str(folder), sender, str(each)])
        for sender in senders
    ]
    received: list[Any] = []
    with connect(folder) as receiver:
        while len(received) < each * len(senders):
            ended = all(process.poll() is not None for process in sending)
            found = take(receiver.default_channel)
            assert found is not None or not ended, f"{len(received)} messages, then no more"
            if found is not None:
                received.append(tuple(found["id"]))
    assert [process.wait() for process in sending] == [0, 0, 0]
    assert sorted(received) == [(s, n) for s in senders for n in range(each)]
