"""A folder as a Celery broker, in which a message is there whole or not at all.

kombu's file-system transport creates a message's file and fills it afterwards: a reader that comes
in between, or a writer that is killed there, leaves the worker with an empty message, on which it
ends. Here every file is written under another name first and then renamed.

For the embedded default only; production has Redis. One consumer a folder.
"""

import fcntl
import json
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.transport.filesystem import exchange_queue_t
from kombu.transport.virtual import BrokerState

TRANSPORT = f"{__name__}:Transport"
"""What Celery's `broker_transport` has to be."""


class Channel(filesystem.Channel):
    """kombu's channel, with files that appear by renaming."""

    def _put(  # type: ignore[override]  # kombu's own does not fit its base either
        self, queue: Any, payload: Any, **kwargs: Any
    ) -> None:
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        _write(Path(self.data_folder_out) / name, json.dumps(payload))

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        bound = exchange_queue_t(routing_key or "", pattern or "", queue or "")
        file: Path = self._exchange_file(exchange)
        file.parent.mkdir(exist_ok=True)
        with (file.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # closing the file lets go of it
            queues = self.get_table(exchange)
            if bound not in queues:
                _write(file, json.dumps([bound, *queues]))


class Transport(filesystem.Transport):
    """The transport of a folder broker; options as kombu's `filesystem` has them."""

    Channel = Channel

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        # kombu remembers bindings by process; two folders in one process have their own.
        self.state = BrokerState()


def _write(path: Path, text: str) -> None:
    # Readers look at names that end in .msg and .exchange only.
    unfinished = path.with_name(f".{uuid.uuid4()}.unfinished")
    unfinished.write_text(text)
    unfinished.replace(path)
