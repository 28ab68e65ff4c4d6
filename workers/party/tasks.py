"""The site's Celery tasks, which `site-agent worker` runs (celery -A workers.party.tasks)."""

from __future__ import annotations

from workers.party import computation, relay
from workers.party.celery import create_app, home_from_environment

home = home_from_environment()
app = create_app(home)


@app.task(name="workers.party.compute")  # type: ignore[untyped-decorator]
def compute(run: str, attempt: int) -> None:
    """Carry out this site's part of an attempt."""
    computation.compute(home, run, attempt, clock=relay.now, connect=relay.connect)
