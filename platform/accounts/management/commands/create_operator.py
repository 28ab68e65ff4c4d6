"""`manage.py create_operator`: the first account, with which everyone else is invited."""

import getpass
import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import actions
from accounts.errors import ActionError
from accounts.models import Organisation
from accounts.roles import Role

PASSWORD_VARIABLE = "QUORATE_OPERATOR_PASSWORD"  # noqa: S105  (a variable's name)


class Command(BaseCommand):
    """Create a portal operator at the server's console."""

    help = (
        "Create a portal operator, and the operator's organisation where it does not exist. The"
        f" password is asked for, or taken from {PASSWORD_VARIABLE}."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--email", required=True)
        parser.add_argument("--first-name", required=True)
        parser.add_argument("--last-name", required=True)
        parser.add_argument("--organisation", required=True, metavar="SLUG")
        parser.add_argument("--organisation-name", metavar="NAME", help="for a new organisation")
        parser.add_argument("--member-id", help="drawn at random unless given")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            person = actions.create_person(
                username=options["username"],
                first_name=options["first_name"],
                last_name=options["last_name"],
                email=options["email"],
                organisation=_organisation(options),
                roles=[Role.PORTAL_OPERATOR],
                password=os.environ.get(PASSWORD_VARIABLE) or getpass.getpass("Password: "),
                by=None,
                member_id=options["member_id"],
            )
        except ActionError as error:
            raise CommandError(error.sentence) from None
        self.stdout.write(f"{person} ({person.member_id}) is a portal operator.")


def _organisation(options: dict[str, Any]) -> Organisation:
    slug = options["organisation"]
    found = Organisation.objects.filter(slug=slug).first()
    name = options["organisation_name"] or slug
    return found or actions.create_organisation(slug=slug, name=name, by=None)
