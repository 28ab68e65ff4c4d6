"""`manage.py publish_roster FILE`: publish a roster that the committee has signed."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.errors import ActionError
from governance.actions import publish_roster
from governance.errors import GovernanceError
from governance.roster import fingerprint


class Command(BaseCommand):
    """Publish the next roster version."""

    help = "Publish the roster in FILE, a DSSE envelope signed by the quorum that must sign it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *_args: Any, file: Path, **_options: Any) -> None:
        try:
            published = publish_roster(envelope=json.loads(file.read_bytes()), by=None)
        except (OSError, json.JSONDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from None
        except (ActionError, GovernanceError) as error:
            raise CommandError(error.sentence) from None
        self.stdout.write(f"Roster {published.version}: {fingerprint(published.digest)}")
