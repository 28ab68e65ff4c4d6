"""Founding: from an empty folder to three enrolled sites, a signed roster and approved classes.

Everything happens as it would in earnest: the portal operator enters organisations and people, keys
are made by their owners, sites enrol with one-time tokens, the committee signs the first roster
offline, and every site pins its fingerprint.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from demo.client import Client
from demo.house import ROOT, House
from demo.people import (
    CHAIR,
    EVERYONE,
    OPERATOR,
    ORGANISATIONS,
    PASSWORD,
    REVIEWERS,
    SITES,
    Person,
)
from governance.statements.envelope import Envelope, add_ed25519

CLASSES = (("cohort-count", 1), ("kaplan-meier", 1))
DATA = ROOT / "demo" / "data"
MINIMUM_COHORT = 20

Say = Callable[[str], None]


@dataclass(frozen=True)
class DataSet:
    """A data set that every site registers; `path` lies in the site's own folder of the data."""

    name: str
    kind: str
    format: str
    path: str
    budget: str
    person_column: str | None = None


DATA_SETS = (
    DataSet("lung", "public", "csv", "lung.csv", "40", "pid"),
    DataSet("gibleed", "synthetic", "omop-csv", ".", "40"),
)


def client_of(house: House, person: Person) -> Client:
    """Return the person's client; keys stay in a folder of the person's own.

    It is the same one each time: the portal limits how often anybody signs in.
    """
    return _client(house.url, person, house.home / "people" / person.username / "key.pem")


@cache
def _client(url: str, person: Person, key_file: Path) -> Client:
    return Client(url, person, key_file)


def found(
    house: House,
    say: Say,
    *,
    people: Iterable[Person] = EVERYONE,
    before_roster: Callable[[], None] = lambda: None,
    data: Path = DATA,
    brokers: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Found the consortium; the portal must be running. `before_roster` may register more keys.

    `data` has a folder for each site; `brokers` names each site's own Celery broker, which is a
    folder where nothing is said.
    """
    operator = client_of(house, OPERATOR).sign_in()
    enter_people(house, operator, people)
    say(f"{OPERATOR.name} entered {len(ORGANISATIONS)} organisations and their people.")
    with ThreadPoolExecutor() as side_by_side:
        made = {
            side_by_side.submit(
                set_up_site, house, operator, site, data / site, brokers.get(site, "filesystem")
            ): site
            for site in SITES
        }
        for done in as_completed(made):
            done.result()
            say(f"Site {made[done]} made its own identity key, registered its data and enrolled.")
    before_roster()
    fingerprint = publish_first_roster(house, operator)
    say(f"The committee signed the first roster; every site pinned\n      {fingerprint}")
    approve_classes(house, operator)
    say("The committee approved the classes " + ", ".join(name for name, _ in CLASSES) + ".")


def prepare_portal(house: House) -> None:
    """Make the portal's database, keys and first operator."""
    house.manage("migrate", "--no-input")
    house.manage("init_portal")
    house.manage(
        *("create_operator", OPERATOR.username, "--organisation", "lighthouse"),
        *("--organisation-name", "Lighthouse Research Ethics Office"),
        *("--first-name", OPERATOR.first_name, "--last-name", OPERATOR.last_name),
        *("--email", f"{OPERATOR.username}@demo.invalid"),
        QUORATE_OPERATOR_PASSWORD=PASSWORD,
    )


def enter_people(house: House, operator: Client, people: Iterable[Person]) -> None:
    """Enter organisations and people, and have every person register a key they made."""
    known = {organisation["slug"] for organisation in operator.listed("organisations/")}
    for organisation in ORGANISATIONS:
        if organisation.slug not in known:
            operator.post("organisations/", {"slug": organisation.slug, "name": organisation.name})
    for person in people:
        if person != OPERATOR:
            operator.post(
                "people/",
                {
                    "username": person.username,
                    "first_name": person.first_name,
                    "last_name": person.last_name,
                    "email": f"{person.username}@demo.invalid",
                    "organisation": person.organisation,
                    "roles": list(person.roles),
                    "password": PASSWORD,
                },
            )
        client = client_of(house, person).sign_in()
        client.register_key(client.get("me/")["member_id"])


def set_up_site(house: House, operator: Client, site: str, data: Path, broker: str) -> None:
    """Do what a site's operator does: keys, data, policy, enrolment."""
    token = operator.post("sites/", {"slug": site, "organisation": site})["enrolment_token"]
    house.site_agent(site, "init", "--site", site, "--portal", house.url, "--broker", broker)
    for data_set in DATA_SETS:
        register(house, site, data_set, data)
    house.site_agent(site, "policy", "--minimum-cohort", str(MINIMUM_COHORT))
    house.site_agent(site, "enrol", "--token", token)


def register(house: House, site: str, data_set: DataSet, data: Path) -> None:
    """Register a data set at a site, from the site's own folder of the data."""
    person = ("--person-column", data_set.person_column) if data_set.person_column else ()
    house.site_agent(
        *(site, "register", data_set.name, "--kind", data_set.kind),
        *("--format", data_set.format, "--path", str(data / data_set.path)),
        *("--budget", data_set.budget, *person),
    )


def publish_first_roster(house: House, operator: Client) -> str:
    """Draft the roster, have the committee sign it offline, publish it, pin it at every site."""
    keys = house.home / "portal-keys.json"
    keys.write_text(house.manage("init_portal", "--json"))
    draft = Envelope.parse(json.loads(house.manage("draft_roster", "--portal-keys", str(keys))))
    published = operator.post("roster/", {"envelope": sign_by_committee(house, draft).to_json()})
    with ThreadPoolExecutor() as side_by_side:
        words = published["fingerprint"].split()
        list(side_by_side.map(lambda site: house.site_agent(site, "pin", *words), SITES))
    return str(published["fingerprint"])


def sign_by_committee(house: House, draft: Envelope) -> Envelope:
    """Return the roster signed by the demo's committee."""
    for person in (*REVIEWERS, CHAIR):
        draft = add_ed25519(draft, client_of(house, person).private_key)
    return draft


def approve_classes(house: House, operator: Client) -> None:
    """Propose the catalogue's classes and have two reviewers of two organisations approve them."""
    for name, version in CLASSES:
        operator.post("classes/", {"name": name, "version": version})
        for reviewer in REVIEWERS:
            address = f"classes/{name}/{version}/"
            client_of(house, reviewer).sign_in().decide(
                f"{address}decision-request/",
                f"{address}decisions/",
                decision="approve",
                comment="Card and rehearsal read; fit for use.",
            )
