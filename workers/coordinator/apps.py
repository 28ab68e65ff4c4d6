from django.apps import AppConfig


class CoordinatorConfig(AppConfig):
    name = "workers.coordinator"
    label = "coordinator"
