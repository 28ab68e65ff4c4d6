"""Every document that has a JSON Schema, by the name of its file in ``docs/protocols/schemas/``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from governance import evidence, roster
from governance.statements import envelope
from governance.statements.decisions import (
    Agreement,
    ClassApproval,
    Consent,
    OutputCheck,
    SiteRelease,
    StudyApproval,
)
from governance.statements.envelope import Kind
from governance.statements.letters import Letter
from governance.statements.payloads import Payload
from governance.statements.registers import DataSetRegister, SitePolicyStatement
from governance.statements.result_statements import OpeningPermit, ResultCertificate
from governance.statements.run_statements import KeyOffer, RunAcceptance, RunManifest
from studies import cohorts, plan
from studies.documents import Schema

PAYLOADS: Mapping[Kind, type[Payload]] = MappingProxyType(
    {
        payload.KIND: payload
        for payload in (
            ClassApproval,
            StudyApproval,
            Consent,
            Agreement,
            OutputCheck,
            KeyOffer,
            RunManifest,
            RunAcceptance,
            ResultCertificate,
            OpeningPermit,
            DataSetRegister,
            SitePolicyStatement,
            SiteRelease,
            Letter,
        )
    }
)
"""What each kind of statement says; the roster, which is more, is in `governance.roster`."""

DOCUMENTS: Mapping[str, Schema] = MappingProxyType(
    {
        "envelope": envelope.SCHEMA,
        "evidence": evidence.SCHEMA,
        "study-plan": plan.SCHEMA,
        "cohort-definition": cohorts.SCHEMA,
        Kind.ROSTER.value: roster.SCHEMA,
        **{kind.value: payload.SCHEMA for kind, payload in PAYLOADS.items()},
    }
)
