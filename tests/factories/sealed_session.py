"""A finished session and its opening permit in a cosigned log: what a site is shown at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from audit import checkpoint, merkle
from audit.entry import GENESIS, Entry, make
from governance.permit import build_permit
from governance.statements.envelope import Envelope, sign_ed25519
from governance.statements.keys import to_base64
from governance.statements.result_statements import (
    Output,
    ResultCertificate,
    Traffic,
    output_commitment,
)
from governance.statements.run_statements import (
    KeyOffer,
    ManifestParty,
    OfferedDataSet,
    Recipient,
    RunAcceptance,
    RunManifest,
)
from studies.documents import format_moment
from studies.plan import StudyPlan
from tests.factories.evidence import LOG_ORIGIN, NOW, SITES, Consortium, agreement_key

RUN = "run-03b1c6aa"
SESSION = "5e" * 16


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@dataclass(frozen=True)
class SealedSession:
    """One run of `plan` that every site has certified, step by step as the sites signed it."""

    consortium: Consortium = field(default_factory=Consortium)
    plan: StudyPlan = field(default_factory=lambda: Consortium().plan())

    def key_offer(self, site: str, **changes: Any) -> Envelope:
        """Return the key offer of `site`, with `changes`."""
        fields: dict[str, Any] = {
            "site": site,
            "study_digest": self.plan.digest,
            "run": RUN,
            "attempt": 1,
            "session": SESSION,
            "public_key": agreement_key(f"run {site}").public_key().public_bytes_raw().hex(),
            "data_set": OfferedDataSet("lung", "public", self.consortium.register(site).digest),
            "checkpoint": None,
            "stops": [],
            "policy_digest": "9d" * 32,
            "issued_at": format_moment(NOW),
        }
        return self._sign(KeyOffer(**{**fields, **changes}), site)

    def manifest(self, **changes: Any) -> RunManifest:
        """Return the manifest that all sites accepted, with `changes`."""
        offers = {site: self.key_offer(site) for site in self.plan.sites}
        fields: dict[str, Any] = {
            "study": self.plan.study,
            "study_digest": self.plan.digest,
            "class_digest": self.plan.class_reference.digest,
            "run": RUN,
            "attempt": 1,
            "session": SESSION,
            "profile": "additive",
            "noise": "distributed",
            "nonce": _digest("nonce"),
            "parties": tuple(
                ManifestParty(number, site, offer.payload["public_key"], offer.digest)
                for number, (site, offer) in enumerate(offers.items())
            ),
            "recipient": Recipient("gate", self.consortium.roster.portal.gate_key),
            "roster_digest": self.consortium.roster.digest,
            "deadline": format_moment(NOW + timedelta(minutes=5)),
        }
        return RunManifest(**{**fields, **changes})

    def acceptance(self, site: str) -> Envelope:
        """Return the acceptance of the manifest by `site`."""
        return self._sign(RunAcceptance(site, self.manifest().digest, format_moment(NOW)), site)

    def certificate(self, site: str, **changes: Any) -> Envelope:
        """Return the result certificate of `site`, with `changes`."""
        manifest = self.manifest()
        party = manifest.party_of(site)
        assert party is not None
        commitment = output_commitment(
            manifest_digest=manifest.digest, party=party.party, salt=bytes(32), share=b"share"
        )
        fields: dict[str, Any] = {
            "site": site,
            "party": party.party,
            "manifest_digest": manifest.digest,
            "transcript": {
                peer: Traffic(_digest(f"{site} to {peer}"), _digest(f"{peer} to {site}"))
                for peer in self.plan.sites
                if peer != site
            },
            "output": Output(52, commitment),
            "issued_at": format_moment(NOW),
        }
        return self._sign(ResultCertificate(**{**fields, **changes}), site)

    def permit(self) -> bytes:
        """Return the genuine opening permit."""
        digests = {site: self.certificate(site).digest for site in self.plan.sites}
        return build_permit(plan=self.plan, manifest=self.manifest(), certificates=digests, now=NOW)

    def _sign(self, statement: KeyOffer | RunAcceptance | ResultCertificate, site: str) -> Envelope:
        key = self.consortium.site_key(site)
        return sign_ed25519(statement.KIND, statement.to_json(), key)


@dataclass(frozen=True)
class LoggedPermit:
    """A permit on record. `shown` is what a site's agent receives, decoded."""

    permit: bytes
    entries: tuple[Entry, ...]
    consortium: Consortium = field(default_factory=Consortium)

    @classmethod
    def of(cls, permit: bytes, **changes: Any) -> LoggedPermit:
        """Return `permit` logged as entry 2 of 4; `changes` are to the entry that records it."""
        entries: list[Entry] = []
        for event in ("study.approved", "run.sealed", "release.permitted", "run.requested"):
            fields: dict[str, Any] = {
                "event": event,
                "data": {"study_digest": "0" * 64},
                "actor": "gate",
                "subject": f"run:{RUN}",
                "study": "st-7f3a90c1",
            }
            if event == "release.permitted":
                fields["data"] = {"permit_digest": hashlib.sha256(permit).hexdigest()}
                fields |= changes
            previous = entries[-1].chain_hash if entries else GENESIS
            entries.append(make(index=len(entries), previous=previous, at=NOW, **fields))
        return cls(permit, tuple(entries))

    def note(
        self, *, witnesses: Sequence[str] = SITES, size: int = 4, origin: str = LOG_ORIGIN
    ) -> str:
        """Return the checkpoint of the first `size` entries, cosigned by `witnesses`."""
        hashes = [entry.leaf_hash for entry in self.entries[:size]]
        head = checkpoint.Checkpoint(origin, size, merkle.root_hash(hashes))
        lines = [
            checkpoint.cosign(
                head,
                self.consortium.site_key(site),
                witness=site,
                timestamp=int(NOW.timestamp()),
            )
            for site in witnesses
        ]
        return checkpoint.sign(head, self.consortium.log_key).with_signatures(*lines).encode()

    def shown(self, **changes: Any) -> dict[str, Any]:
        """Return the arguments of `verify_permit` about the log, with `changes`."""
        hashes = [entry.leaf_hash for entry in self.entries]
        genuine = {
            "entry_leaf": self.entries[2].leaf,
            "index": 2,
            "inclusion_proof": merkle.inclusion_proof(hashes, 2),
            "checkpoint_note": self.note(),
        }
        return {**genuine, **changes}

    def message(self, **changes: Any) -> dict[str, Any]:
        """Return the same as the agent protocol's ``permit`` message writes it."""
        shown = self.shown(**changes)
        return {
            "permit": to_base64(self.permit),
            "leaf": to_base64(shown["entry_leaf"]),
            "index": shown["index"],
            "proof": [to_base64(value) for value in shown["inclusion_proof"]],
            "note": shown["checkpoint_note"],
        }
