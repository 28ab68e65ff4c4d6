"""`site-agent`: everything an operator or a data steward does at a site."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from governance.errors import GovernanceError
from workers.party import commands
from workers.party.celery import HOME_VARIABLE
from workers.party.errors import PartyError

_EPILOG = """in this order:
  site-agent init --site alder --portal https://portal.example.org
  site-agent enrol --token TOKEN          the portal operator gives you the token, once
  site-agent pin FINGERPRINT              compare it with the committee by voice or on paper
  site-agent register lung --kind confidential --format csv --path lung.csv \\
                     --person-column pid --budget 10
  site-agent check                        is everything in place?
  site-agent worker                       computes (keep it running)
  site-agent run                          talks to the portal (keep it running)

The agent dials out to one host and never listens. See docs/operations/site.md."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 not done, 2 misused."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int | None] = options.command
    try:
        return command(options) or 0
    except (PartyError, GovernanceError, ValueError, OSError) as error:
        sys.stderr.write(f"site-agent: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="site-agent",
        description="Take part in governed multi-party studies with data that stay at this site.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get(HOME_VARIABLE, "site-home")),
        help=f"the site's folder (default: ${HOME_VARIABLE}, else ./site-home)",
    )
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_setting_up(verbs)
    _add_stewardship(verbs)
    _add_processes(verbs)
    return parser


Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add(verbs: Verbs, name: str, command: object, summary: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=summary, description=summary)
    parser.set_defaults(command=command)
    return parser


def _add_setting_up(verbs: Verbs) -> None:
    init = _add(verbs, "init", commands.init, "make the site's folder and a fresh identity key")
    init.add_argument("--site", required=True, help="the site's name, as the portal knows it")
    init.add_argument("--portal", required=True, help="like https://portal.example.org")
    init.add_argument("--ca", type=Path, help="PEM file of a private certificate authority")
    init.add_argument(
        "--broker",
        default="filesystem",
        help="filesystem (default), redis://..., or redis+socket://...; the site's own",
    )
    _add(verbs, "fingerprint", commands.fingerprint, "print the site's public identity key")
    enrol = _add(verbs, "enrol", commands.enrol, "make the identity key known to the portal")
    enrol.add_argument("--token", required=True, help="the one-time token of the portal operator")
    pin = _add(verbs, "pin", commands.pin, "believe the roster with this fingerprint")
    pin.add_argument("fingerprint", nargs="+", help="64 hex digits, with or without spaces")
    pin.add_argument("--roster", type=Path, help="JSON list of its versions, oldest first")
    pin.add_argument("--replace", action="store_true", help="forget the roster pinned before")
    register = _add(verbs, "register", commands.register, "register a data set, for good")
    register.add_argument("name", help="what plans call the data set")
    register.add_argument("--kind", required=True, choices=["synthetic", "public", "confidential"])
    register.add_argument("--format", required=True, choices=["csv", "omop-csv"])
    register.add_argument("--path", required=True, type=Path, help="the file, or OMOP folder")
    register.add_argument("--budget", required=True, help="epsilon that all studies may ever spend")
    persons = register.add_mutually_exclusive_group()
    persons.add_argument("--person-column", help="csv: the column that tells persons apart")
    persons.add_argument(
        "--rows-are-persons",
        action="store_true",
        help="csv: you attest that no person has two rows; the noise protects one person only then",
    )
    policy = _add(verbs, "policy", commands.policy, "show this site's own policy, or change it")
    policy.add_argument("--maximum-epsilon", help="the most that one run may spend, like 2")
    policy.add_argument("--minimum-cohort", type=int, help="the fewest persons to consent with")
    policy.add_argument("--class", dest="classes", action="append", help="permit NAME/VERSION")
    policy.add_argument(
        "--require-local-consent", choices=["yes", "no"], help="only consents signed here count"
    )
    policy.add_argument("--purpose", dest="purposes", action="append", help="permit only these")
    policy.add_argument("--organisation", dest="organisations", action="append", help="of the PI")
    policy.add_argument("--hours", help="runs only then, UTC, like 8-18; an empty text for any")
    policy.add_argument("--lifetime-epsilon", help="the most that all studies on a data set cost")
    policy.add_argument(
        "--require-release", choices=["yes", "no"], help="a steward lets each share go"
    )
    policy.add_argument(
        "--publish", choices=["yes", "no"], help="let the portal foretell what it would answer"
    )
    policy.add_argument("--set", type=Path, metavar="FILE", help="replace it with a Cedar file")
    policy.add_argument("--test", type=Path, metavar="PLAN", help="say what it decides on a plan")
    check = _add(verbs, "check", commands.check, "say whether everything is in place")
    check.add_argument("--offline", action="store_true", help="leave the portal out")


def _add_stewardship(verbs: Verbs) -> None:
    show = _add(verbs, "show", commands.show, "render a study plan, and what it means here")
    show.add_argument("plan", type=Path, help="the plan's file, as downloaded from the portal")
    consent = _add(verbs, "consent", commands.consent, "sign a decision on a plan at the site")
    consent.add_argument("plan", type=Path, help="the plan's file, as downloaded from the portal")
    consent.add_argument("--key", type=Path, required=True, help="the steward's own key (PEM)")
    consent.add_argument(
        "--decision", choices=["consent", "decline", "withdraw"], default="consent"
    )
    consent.add_argument("--days", type=int, help="for how long (default: the longest allowed)")
    consent.add_argument("--comment", default="", help="said to everyone concerned")
    consent.add_argument("--yes", action="store_true", help="do not ask")
    explain = _add(verbs, "explain", commands.explain, "say why this site accepted or refused")
    explain.add_argument("run", help="the run, as the portal calls it, like run-03b1c6aa")
    release = _add(verbs, "release", commands.release, "let a sealed share go, where policy asks")
    release.add_argument("run", nargs="?", help="the run; without it, list what waits")
    release.add_argument("--key", type=Path, help="the steward's own key (PEM)")
    release.add_argument("--decision", choices=["release", "refuse"], default="release")
    release.add_argument("--comment", default="", help="said to everyone concerned")
    release.add_argument("--yes", action="store_true", help="do not ask")
    _add(verbs, "budget", commands.budget, "print what each data set may spend and has spent")
    made = _add(verbs, "preprocessed", commands.preprocessed, "list what was computed ahead")
    made.add_argument("--discard", metavar="BATCH", help="forget a batch, for good")
    journal = _add(verbs, "journal", commands.journal, "print what has happened at this site")
    journal.add_argument("--run", default="", help="of one run only")
    journal.add_argument("--last", type=int, default=50, help="how many entries (default: 50)")


def _add_processes(verbs: Verbs) -> None:
    _add(verbs, "run", commands.run, "talk to the portal until stopped")
    _add(verbs, "worker", commands.worker, "compute what the agent has queued, until stopped")


if __name__ == "__main__":
    sys.exit(main())
