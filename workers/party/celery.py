"""The site's own Celery application: it wakes a worker for an attempt, and that is all.

A task is a hint; the truth is a row with a lease. So a lost task is sent again, a task that comes
twice does nothing, and results are not kept. Brokers are never shared across organisations.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from celery import Celery

from workers.party.home import FILESYSTEM_BROKER, SiteHome
from workers.transport import folder_broker

HOME_VARIABLE = "QUORATE_SITE_HOME"
POLLING_SECONDS = 0.05


def home_from_environment() -> SiteHome:
    """Return the home of the site whose folder the environment names."""
    return SiteHome(Path(os.environ.get(HOME_VARIABLE, "site-home")).resolve())


def queue_of(home: SiteHome) -> str:
    """Return the name of the site's own queue."""
    return f"site.{home.configuration.site}"


def create_app(home: SiteHome) -> Celery:
    """Return the site's Celery application, on the broker that `site.json` names."""
    configuration = home.configuration
    app = Celery(f"site-{configuration.site}", set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=queue_of(home),
        task_routes={"*": {"queue": queue_of(home)}},
        # An attempt must never run twice at once, and a dead one is never resumed.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        **_broker(home, configuration.broker),
    )
    return app


def _broker(home: SiteHome, broker: str) -> dict[str, Any]:
    if broker != FILESYSTEM_BROKER:
        return {"broker_url": broker}
    queue, control = home.broker_path / "queue", home.broker_path / "control"
    # kombu moves each message through the temporary folder: it must be the site's own.
    private = home.broker_path / "temporary"
    for folder in (queue, control, private):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["TMPDIR"] = tempfile.tempdir = str(private)
    return {
        "broker_url": "filesystem://",
        "broker_transport": folder_broker.TRANSPORT,
        "broker_transport_options": {
            "data_folder_in": str(queue),
            "data_folder_out": str(queue),
            "control_folder": str(control),
            "polling_interval": POLLING_SECONDS,
        },
    }
