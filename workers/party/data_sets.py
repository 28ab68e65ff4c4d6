"""The site's register of data sets: what it signs for others to see, and where the data lie.

`register.json` is a signed statement with names, kinds, columns and budgets; `data_sets.json`
keeps, for the same names, path, column types and the column that identifies a person. Whether a
data set is synthetic, public or confidential is said here and nowhere else: nothing that the
portal sends can make a confidential data set fit for a rehearsal without noise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from dp.accountant import micro_budget
from governance.statements.envelope import Envelope, Kind, sign_ed25519
from governance.statements.registers import DataSetRegister
from studies.documents import format_moment
from workers.party import data_access, ledger
from workers.party.documents import check_document, read_document, write_document
from workers.party.errors import HomeError
from workers.party.home import SiteHome
from workers.party.store import record

OPEN_KINDS = ("synthetic", "public")
"""Kinds on which a rehearsal may leave the noise out."""

_LOCATIONS_SCHEMA = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {
            "format": {"enum": ["csv", "omop-csv"]},
            "path": {"type": "string", "minLength": 1},
            "column_types": {
                "type": "object",
                "additionalProperties": {"enum": ["number", "text"]},
            },
            "person_column": {"type": ["string", "null"]},
        },
        "required": ["format", "path", "column_types", "person_column"],
        "additionalProperties": False,
    },
}


@dataclass(frozen=True)
class Registration:
    """What an operator says of a new data set. *Units*: `budget` in epsilon.

    The noise protects a *person*, so a table needs a column that tells persons apart, or the
    operator's word that no person has two rows (`rows_are_persons`).
    """

    name: str
    kind: str
    format: str
    path: Path
    budget: Fraction
    person_column: str | None = None
    rows_are_persons: bool = False


def locate(home: SiteHome, name: str) -> data_access.Location:
    """Return where a registered data set lies. *Raises* HomeError when it is not registered."""
    documents = _locations(home)
    if name not in documents:
        raise HomeError(f"no data set {name!r} is registered: see site-agent register --help")
    found = documents[name]
    return data_access.Location(
        format=found["format"],
        path=Path(found["path"]),
        column_types=found["column_types"],
        person_column=found["person_column"],
    )


def signed_register(home: SiteHome) -> Envelope:
    """Return the site's register as it was last signed. *Raises* HomeError when there is none."""
    return Envelope.parse(read_document(home.register_path))


def registered(home: SiteHome, name: str) -> dict[str, Any] | None:
    """Return what the signed register says of a data set; None when it does not name it."""
    for data_set in signed_register(home).payload["data_sets"]:
        if data_set["name"] == name:
            return dict(data_set)
    return None


def sign_register(home: SiteHome, data_sets: list[dict[str, Any]], *, now: datetime) -> Envelope:
    """Sign the next version of the register and keep it."""
    version = 1
    if home.register_path.exists():
        version = int(signed_register(home).payload["version"]) + 1
    payload = {
        "type": Kind.DATA_SET_REGISTER.value,
        "site": home.configuration.site,
        "version": version,
        "data_sets": data_sets,
        "issued_at": format_moment(now),
    }
    envelope = sign_ed25519(Kind.DATA_SET_REGISTER, payload, home.identity)
    DataSetRegister.of(envelope)
    write_document(home.register_path, envelope.to_json())
    return envelope


def register(home: SiteHome, registration: Registration, *, now: datetime) -> Envelope:
    """Read a data set once from end to end, give it its budget for good, sign the new register.

    *Raises* HomeError when the name is taken (kind, currency and budget never change: register
    the data under a new name), when the same data have a budget under another name, or when nothing
    tells persons apart; DataError when the data cannot be read.
    """
    locations = _locations(home)
    earlier = list(signed_register(home).payload["data_sets"])
    if registration.name in locations or registered(home, registration.name):
        raise HomeError(
            f"a data set {registration.name!r} is registered already; what is registered does not "
            "change. Register the data under another name"
        )
    _check_persons_and_place(registration, locations)
    location = data_access.examine(
        format_=registration.format,
        path=registration.path.resolve(),
        person_column=registration.person_column,
    )
    cap = micro_budget(registration.budget)
    described = {
        "name": registration.name,
        "kind": registration.kind,
        "format": registration.format,
        "columns": data_access.column_names(location),
        "currency": ledger.CURRENCY,
        "budget_micro_epsilon": cap,
    }
    # The account comes last: without one no run can use the data set, whatever else was written.
    written = {**asdict(location), "path": str(location.path)}
    write_document(home.data_sets_path, {**locations, registration.name: written})
    envelope = sign_register(home, [*earlier, described], now=now)
    with home.store.transaction() as transaction:
        ledger.open_account(
            transaction,
            data_set=registration.name,
            register_version=int(envelope.payload["version"]),
            cap=cap,
        )
        record(transaction, at=now, event="data set registered", detail=_journalled(registration))
    return envelope


def _journalled(registration: Registration) -> str:
    attested = ": rows are persons" if registration.rows_are_persons else ""
    return f"{registration.name}{attested}"


def _check_persons_and_place(registration: Registration, locations: dict[str, Any]) -> None:
    path = str(registration.path.resolve())
    for name, location in locations.items():
        if location["path"] == path and location["format"] == registration.format:
            raise HomeError(
                f"{path} is registered already, as {name!r}: a second name would give the same "
                "persons a second budget"
            )
    told_apart = registration.person_column is not None or registration.rows_are_persons
    if registration.format == "csv" and not told_apart:
        raise HomeError(
            "the noise protects one person, not one row: name the column that tells persons apart "
            "(--person-column COLUMN), or say that no person has two rows (--rows-are-persons)"
        )


def _locations(home: SiteHome) -> dict[str, Any]:
    if not home.data_sets_path.exists():
        return {}
    document = read_document(home.data_sets_path)
    check_document(document, _LOCATIONS_SCHEMA, "data_sets.json")
    return dict(document)
