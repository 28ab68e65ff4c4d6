"""`manage.py draft_roster`: the next roster, unsigned, for the committee to sign."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.errors import ActionRefusedError
from governance.errors import RosterError
from governance.roster_draft import draft_roster


class Command(BaseCommand):
    """Draft the next roster from the portal's people, keys and enrolled sites."""

    help = (
        "Draft the next roster from today's people, keys and enrolled sites. The first one needs"
        " the keys that `manage.py init_portal --json` prints. Have it signed with quorate-sign."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--portal-keys",
            metavar="FILE",
            help="first roster: what init_portal --json printed (- for standard input)",
        )
        parser.add_argument("--name", default="Quorate", help="what the roster calls the portal")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            draft = draft_roster(now=timezone.now(), portal=_portal(options))
        except (ActionRefusedError, RosterError) as error:
            raise CommandError(error.sentence) from None
        self.stdout.write(json.dumps(draft.to_json(), indent=2))


def _portal(options: dict[str, Any]) -> dict[str, Any] | None:
    source = options["portal_keys"]
    if source is None:
        return None
    try:
        keys = json.loads(sys.stdin.read() if source == "-" else Path(source).read_text())
    except (OSError, ValueError) as error:
        raise CommandError(f"{source}: expected what init_portal --json printed: {error}") from None
    return {
        "name": options["name"],
        "rp_id": urlsplit(settings.PUBLIC_URL).hostname,
        "origins": [settings.PUBLIC_URL],
        **keys,
    }
