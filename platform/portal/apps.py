from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"

    def ready(self) -> None:
        """Make the portal's Celery application the current one in every process."""
        import portal.celery  # noqa: F401
