"""`manage.py init_portal`: make the log's and the gate's key, print what the roster must name."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from workers.coordinator import keys


class Command(BaseCommand):
    """Make the portal's keys once, and print their public halves."""

    help = (
        "Make the log's and the release gate's key files where they are missing, and print the "
        "public halves, which the first roster names."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        keys.make_keys()
        public = {
            "log_origin": settings.LOG_ORIGIN,
            "log_key": keys.log_verifier(),
            "gate_key": keys.gate_public_key(),
        }
        if options["json"]:
            self.stdout.write(json.dumps(public))
            return
        for name, value in public.items():
            self.stdout.write(f"{name:<12}{value}")
