"""The commands of `site-agent`: read the options, do one thing, print."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from textwrap import indent

from dp.events import epsilon_from_decimal
from governance import render
from governance.evidence import Evidence
from governance.roster import digest_of_fingerprint
from governance.roster import fingerprint as spaced
from governance.statements.envelope import Envelope
from studies.plan import StudyPlan
from workers.party import (
    data_sets,
    doctor,
    enrolment,
    explanations,
    ledger,
    relay,
    release_gate,
    stewardship,
    trust,
)
from workers.party import preprocessed as batch_store
from workers.party.agent import Agent
from workers.party.celery import HOME_VARIABLE, create_app, queue_of
from workers.party.documents import read_document
from workers.party.errors import HomeError, PartyError
from workers.party.home import Configuration, SiteHome
from workers.party.policy import Choices
from workers.party.store import record


def init(options: argparse.Namespace) -> None:
    """Make the site's folder, with an identity and an empty, signed register."""
    configuration = Configuration(
        site=options.site,
        portal_url=options.portal.rstrip("/"),
        ca_file=None if options.ca is None else str(options.ca.resolve()),
        broker=options.broker,
    )
    home = SiteHome.create(options.home, configuration)
    data_sets.sign_register(home, [], now=relay.now())
    _say(f"Made {home.path}. This site's identity key:\n{_identity(home)}")


def fingerprint(options: argparse.Namespace) -> None:
    """Print the site's public identity key, for comparison with the roster."""
    _say(_identity(_home(options)))


def enrol(options: argparse.Namespace) -> None:
    """Make the site's identity key known to the portal."""
    home = _home(options)
    enrolment.enrol(home, options.token)
    _note(home, "enrolled")
    _say(f"{home.configuration.site} is enrolled. Next: site-agent pin FINGERPRINT")


def pin(options: argparse.Namespace) -> None:
    """Believe the roster with the given fingerprint, and what follows from it."""
    home = _home(options)
    digest = digest_of_fingerprint("".join(options.fingerprint))
    configuration = home.configuration
    if configuration.pinned_roster not in (None, digest) and not options.replace:
        raise HomeError("another roster is pinned: compare with the committee, then use --replace")
    home.write_configuration(replace(configuration, pinned_roster=digest))
    with home.store.transaction() as transaction:
        if configuration.pinned_roster != digest:
            transaction.execute("DELETE FROM rosters")
        if options.roster is not None:
            chain = [Envelope.parse(value) for value in read_document(options.roster)]
            trust.remember(home, transaction, chain)
        record(transaction, at=relay.now(), event="roster pinned", detail=digest)
    _say(f"Pinned the roster\n  {spaced(digest)}")


def register(options: argparse.Namespace) -> None:
    """Register a data set: kind, currency and budget are fixed from now on."""
    registration = data_sets.Registration(
        name=options.name,
        kind=options.kind,
        format=options.format,
        path=options.path,
        budget=epsilon_from_decimal(options.budget),
        person_column=options.person_column,
        rows_are_persons=options.rows_are_persons,
    )
    envelope = data_sets.register(_home(options), registration, now=relay.now())
    version = envelope.payload["version"]
    _say(f"Registered {options.name} ({options.kind}) in version {version} of the register.")


def policy(options: argparse.Namespace) -> None:
    """Print the site's policy; or change it, or try it on a plan."""
    home = _home(options)
    if options.test is not None:
        plan = stewardship.read_plan(options.test)
        with home.store.reading() as transaction:
            roster = trust.newest(home, transaction)
        objection = stewardship.objection_to_run(home, plan, roster, now=relay.now())
        _say(f"A run: {'REFUSED, ' + objection if objection else 'permitted'}.")
        counted = stewardship.cohort_report(home, plan).counted
        against = stewardship.objection_to_consent(home, plan, roster, counted, now=relay.now())
        _say(f"Consent: {'REFUSED, ' + against if against else 'permitted'}.")
        return
    before = home.policy
    text = _changed_policy(options, before.text)
    if text != before.text:
        changed = home.write_policy(text)
        _note(home, "policy changed", f"from {before.digest} to {changed.digest}")
    if options.publish is not None:
        configuration = replace(home.configuration, publish_policy=options.publish == "yes")
        home.write_configuration(configuration)
        _note(home, "policy published" if options.publish == "yes" else "policy kept private")
    _say(home.policy.text.rstrip("\n"))
    _say(f"\n// digest {home.policy.digest}")


def _changed_policy(options: argparse.Namespace, text: str) -> str:
    """Return the policy file that the options ask for. *Raises* HomeError."""
    if options.set is not None:
        path: Path = options.set
        return path.read_text("utf-8")
    names = ("maximum_epsilon", "minimum_cohort", "classes", "purposes", "organisations", "hours")
    given = {name: getattr(options, name) for name in (*names, "lifetime_epsilon")}
    answers = {
        "require_local_consent": options.require_local_consent,
        "require_release": options.require_release,
    }
    given |= {name: answer and answer == "yes" for name, answer in answers.items()}
    wanted = {name: value for name, value in given.items() if value is not None}
    if not wanted:
        return text
    choices = Choices.of_file(text)
    if choices is None:
        raise HomeError(
            "this policy was edited by hand, so options cannot change it: edit policy.cedar, or "
            "replace it with --set FILE"
        )
    return Choices.parse({**json.loads(json.dumps(asdict(choices))), **wanted}).to_cedar()


def check(options: argparse.Namespace) -> int:
    """Print what is in place and what is not; 1 when something is not."""
    healthy = True
    for finding in doctor.examine(_home(options), now=relay.now(), portal=not options.offline):
        healthy = healthy and not finding.problem
        _say(f"{'!!' if finding.problem else 'ok'} {finding.what:14} {finding.problem}".rstrip())
    return 0 if healthy else 1


def show(options: argparse.Namespace) -> None:
    """Render a plan and what it means for this site."""
    plan = stewardship.read_plan(options.plan)
    sys.stdout.write(render.as_text(stewardship.facts(_home(options), plan, now=relay.now())))


def consent(options: argparse.Namespace) -> None:
    """Show the plan, ask, sign."""
    home, plan = _home(options), stewardship.read_plan(options.plan)
    key = stewardship.read_key(options.key)
    member, _ = stewardship.steward_of(home, key)
    sys.stdout.write(render.as_text(stewardship.facts(home, plan, now=relay.now())))
    question = f"{member.name}: {options.decision} for {home.configuration.site}? [y/N] "
    if not options.yes and input(question).strip().lower() not in ("y", "yes"):
        raise PartyError("nothing was signed")
    wish = stewardship.Wish(plan, options.decision, options.days, options.comment)
    stewardship.decide(home, wish, key, now=relay.now())
    _say(f"Signed: {options.decision}. The agent sends it to the portal.")


def budget(options: argparse.Namespace) -> None:
    """Print the ledger's balances, in epsilon."""
    home = _home(options)
    with home.store.reading() as transaction:
        names = [row[0] for row in transaction.execute("SELECT name FROM data_sets ORDER BY name")]
        balances = [ledger.balance(transaction, name) for name in names]
    heads = "".join(f" {head:>12}" for head in ("cap", "committed", "reserved", "left"))
    _say(f"{'in epsilon':20}{heads}")
    for found in balances:
        if found is not None:
            amounts = (found.cap, found.committed, found.reserved, found.left)
            shown = "".join(f" {render.in_epsilon(amount):>12f}" for amount in amounts)
            _say(f"{found.data_set:20}{shown}")


def preprocessed(options: argparse.Namespace) -> None:
    """Print the batches of preprocessed material, or discard one of them."""
    home = _home(options)
    if options.discard is not None:
        batch_store.discard(home, options.discard)
        _note(home, "discarded preprocessed material")
        _say(f"Batch {options.discard} is discarded; its peers cannot use their parts either.")
        return
    with home.store.reading() as transaction:
        found = batch_store.batches(transaction)
    if not found:
        _say("Nothing was computed ahead.")
    for batch in found:
        size = batch.left * batch.piece_bytes / 2**20
        _say(f"{batch.batch}  {batch.kind}, with {', '.join(batch.peers)}")
        _say(f"    {batch.left} of {batch.pieces} pieces left, {size:.1f} MiB")


def explain(options: argparse.Namespace) -> int:
    """Print why this site accepted or refused each step of a run; 1 when it knows none."""
    with _home(options).store.reading() as transaction:
        found = explanations.of_run(transaction, options.run)
    if not found:
        _say(f"This site has decided nothing about {options.run}: see site-agent journal")
        return 1
    for step in found:
        verdict = "accepted" if step.accepted else "REFUSED"
        _say(f"Attempt {step.attempt}, {step.step}: {verdict} at {step.at}")
        _say(indent(render.as_text(step.facts), "  ").rstrip("\n"))
    return 0


def release(options: argparse.Namespace) -> None:
    """List the shares that wait for this site's release; or show one, ask, and sign."""
    home = _home(options)
    with home.store.reading() as transaction:
        waiting = release_gate.awaiting(transaction)
    if options.run is None:
        for attempt in waiting:
            _say(f"{attempt.run}, study {attempt.study_digest}")
        _say("" if waiting else "No share waits for this site's release.")
        return
    if options.key is None:
        raise PartyError("a share is released by a steward: name the key file with --key")
    key = stewardship.read_key(options.key)
    member, _ = stewardship.steward_of(home, key)
    for attempt in waiting:
        if attempt.run == options.run:
            plan = StudyPlan.parse(Evidence.parse(json.loads(attempt.evidence)).plan)
            sys.stdout.write(render.as_text(stewardship.facts(home, plan, now=relay.now())))
    question = f"{member.name}: {options.decision} the share of {options.run}? [y/N] "
    if not options.yes and input(question).strip().lower() not in ("y", "yes"):
        raise PartyError("nothing was signed")
    release_gate.release(home, options.run, options.decision, key, options.comment, now=relay.now())
    _say(f"Signed: {options.decision}. The agent acts on it when the portal asks again.")


def journal(options: argparse.Namespace) -> None:
    """Print the newest entries of the site's journal, oldest first."""
    with _home(options).store.reading() as transaction:
        rows = transaction.execute(
            "SELECT * FROM journal WHERE ? IN ('', run) ORDER BY number DESC LIMIT ?",
            (options.run, options.last),
        ).fetchall()
    for row in reversed(rows):
        about = f" {row['run']}/{row['attempt']}" if row["run"] else ""
        detail = f": {row['detail']}" if row["detail"] else ""
        _say(render.printable(f"{row['at']} {row['event']}{about}{detail}"))


def run(options: argparse.Namespace) -> None:
    """Talk to the portal until SIGTERM or SIGINT."""
    home = _home(options)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    celery = create_app(home)

    def enqueue(name: str, attempt: int) -> None:
        celery.send_task("workers.party.compute", args=(name, attempt), queue=queue_of(home))

    agent = Agent(home, clock=relay.now, enqueue=enqueue)

    async def until_stopped() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await agent.run(stop)

    asyncio.run(until_stopped())


def worker(options: argparse.Namespace) -> None:
    """Become the site's Celery worker: one process, one attempt at a time."""
    home = _home(options)
    create_app(home)
    site = home.configuration.site
    environment = {**os.environ, HOME_VARIABLE: str(home.path)}
    arguments = [
        *(sys.executable, "-m", "celery", "-A", "workers.party.tasks", "worker"),
        *("--pool", "solo", "--concurrency", "1", "--queues", queue_of(home)),
        *("--hostname", f"{site}@%h", "--loglevel", "INFO"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
    os.execve(sys.executable, arguments, environment)  # noqa: S606 our own interpreter


def _home(options: argparse.Namespace) -> SiteHome:
    path: Path = options.home.resolve()
    if not (path / "site.json").exists():
        raise HomeError(f"{path} is not a site's folder: run 'site-agent init', or give --home")
    return SiteHome(path)


def _identity(home: SiteHome) -> str:
    return f"  {home.identity_public_hex}"


def _note(home: SiteHome, event: str, detail: str = "") -> None:
    moment: datetime = relay.now()
    with home.store.transaction() as transaction:
        record(transaction, at=moment, event=event, detail=detail)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
