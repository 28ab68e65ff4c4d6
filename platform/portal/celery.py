"""The Celery application beside the portal: it opens sealed results, nothing else.

Celery is a hint to wake up, never the truth: the truth is a row, and every task is idempotent.
"""

import os

from celery import Celery
from django.conf import settings

from workers.transport import folder_broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("portal")
# Web requests run in other threads than the one that imports this.
app.set_default()
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue="portal",
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    imports=["workers.coordinator.tasks"],
)
if settings.CELERY_BROKER_URL == "filesystem://":
    settings.BROKER_FOLDER.mkdir(parents=True, exist_ok=True)
    app.conf.broker_transport = folder_broker.TRANSPORT
    app.conf.broker_transport_options = {
        "data_folder_in": str(settings.BROKER_FOLDER),
        "data_folder_out": str(settings.BROKER_FOLDER),
        "control_folder": str(settings.BROKER_FOLDER / "control"),
        "polling_interval": 0.05,
    }
