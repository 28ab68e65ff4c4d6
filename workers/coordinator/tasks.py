"""What Celery runs beside the portal: hints to look at a row, each safe to repeat."""

from celery import shared_task

from workers.coordinator import attempts, opening


@shared_task(name="workers.coordinator.advance")  # type: ignore[untyped-decorator]
def advance(run: str) -> None:
    """See what `run` needs next."""
    attempts.advance(run)


@shared_task(name="workers.coordinator.open_result")  # type: ignore[untyped-decorator]
def open_result(run: str) -> None:
    """Take the release of `run` as far as it goes."""
    opening.open_result(run)


@shared_task(name="workers.coordinator.decide")  # type: ignore[untyped-decorator]
def decide(run: str) -> None:
    """Decide about the opened result of `run`, as far as its checks allow."""
    opening.decide(run)
