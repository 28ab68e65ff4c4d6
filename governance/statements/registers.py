"""What a site says of itself, signed by its identity key: its data sets, its policy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from governance.errors import malformed
from governance.statements.envelope import Kind
from governance.statements.payloads import Payload
from studies.documents import (
    COUNT,
    DIGEST,
    IDENTIFIER,
    MOMENT,
    POSITIVE,
    array,
    document,
    one_of,
    record,
    text,
)


@dataclass(frozen=True)
class RegisteredDataSet:
    """One data set of a site: what it is, and the budget it may ever spend."""

    name: str
    kind: str
    format: str
    columns: tuple[str, ...]
    currency: str
    budget_micro_epsilon: int


@dataclass(frozen=True)
class DataSetRegister(Payload):
    """A site's data sets, in its own words: the portal cannot change what they are."""

    KIND = Kind.DATA_SET_REGISTER
    SCHEMA = document(
        KIND.value,
        "A site's data sets",
        {
            "site": IDENTIFIER,
            "version": POSITIVE,
            "data_sets": array(
                record(
                    {
                        "name": IDENTIFIER,
                        "kind": one_of("synthetic", "public", "confidential"),
                        "format": one_of("csv", "omop-csv"),
                        "columns": array(text(64, 1), maximum=2000, unique=True),
                        "currency": one_of("micro-epsilon"),
                        "budget_micro_epsilon": COUNT,
                    }
                ),
                maximum=200,
            ),
            "issued_at": MOMENT,
        },
    )

    site: str
    version: int
    data_sets: tuple[RegisteredDataSet, ...]
    issued_at: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if len({data_set.name for data_set in self.data_sets}) != len(self.data_sets):
            raise malformed("data_sets: expected each name once")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the register with the fields of `value`."""
        data_sets = tuple(
            RegisteredDataSet(**{**data_set, "columns": tuple(data_set["columns"])})
            for data_set in value["data_sets"]
        )
        return super().from_json({**value, "data_sets": data_sets})

    def data_set(self, name: str) -> RegisteredDataSet | None:
        """Return the data set called `name`, or None."""
        return next((data_set for data_set in self.data_sets if data_set.name == name), None)


@dataclass(frozen=True)
class SitePolicyStatement(Payload):
    """Which policy is in force at a site: its digest, and its rules where they are published."""

    KIND = Kind.SITE_POLICY
    SCHEMA = document(
        KIND.value,
        "The policy in force at a site",
        {
            "site": IDENTIFIER,
            "policy_digest": DIGEST,
            "published": {"type": "boolean"},
            "policy": text(200_000),
            "issued_at": MOMENT,
        },
    )

    site: str
    policy_digest: str
    published: bool
    policy: str
    issued_at: str

    def __post_init__(self) -> None:
        super().__post_init__()
        digest = hashlib.sha256(self.policy.encode()).hexdigest()
        if self.published and digest != self.policy_digest:
            raise malformed("policy: expected the rules whose digest the statement names")
        if not self.published and self.policy:
            raise malformed("policy: expected no rules where none are published")
