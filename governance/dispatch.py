"""The one message upwards: on commit, wake up whoever carries on.

Tasks are named by text, so governance imports nothing above it. A lost message costs time only:
what is to be done stands in the database, and the coordinator looks there again.
"""

import logging
from typing import Any

from asgiref.sync import async_to_sync
from celery import current_app
from channels.layers import get_channel_layer
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

AGENTS = "agents"
"""The group that every site's control connection listens to."""


def advance(run: str) -> None:
    """Have the coordinator see what `run` needs next."""
    _send_on_commit("workers.coordinator.advance", run)
    hint(AGENTS)


def open_result(run: str) -> None:
    """Have the release gate open the result of `run`, once its permit has been honoured."""
    _send_on_commit("workers.coordinator.open_result", run)
    hint(AGENTS)


def decide(run: str) -> None:
    """Have the release gate decide about the opened result of `run`."""
    _send_on_commit("workers.coordinator.decide", run)
    hint(AGENTS)


def hint(group: str) -> None:
    """Tell everyone who listens to `group` that something has changed; they look for themselves."""
    transaction.on_commit(lambda: _hint_now(group), robust=True)


def study_group(study: str) -> str:
    """Return the group that the live pages of a study listen to."""
    return f"study.{study}"


def _send_on_commit(task: str, run: str) -> None:
    def send() -> None:
        try:
            current_app.send_task(task, [run], retry=False)
        except (OperationalError, OSError):
            logger.exception("Could not send %s for %s; the coordinator will find it.", task, run)

    transaction.on_commit(send, robust=True)


def _hint_now(group: str) -> None:
    layer: Any = get_channel_layer()
    if layer is not None:
        async_to_sync(layer.group_send)(group, {"type": "changed"})
