"""One real site, alder, among genuine peers: a folder on disk, and everything others would sign."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from audit import checkpoint, entry, merkle
from audit.signed_note import SignedNote
from dp.events import epsilon_from_decimal
from governance.permit import EVENT, build_permit
from governance.statements.envelope import Envelope, sign_ed25519
from governance.statements.keys import to_base64
from governance.statements.result_statements import Output, ResultCertificate, output_commitment
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
from workers.party import data_sets
from workers.party.documents import write_private
from workers.party.home import Configuration, SiteHome
from workers.transport.control import Message

RUN, SESSION = "run-1", "5e" * 16
RECORDS = "pid,time,status,sex\n" + "".join(
    f"{person},{37 * person % 1000},{person % 2},{1 + person % 2}\n" for person in range(60)
)


def make_home(
    folder: Path,
    consortium: Consortium,
    *,
    site: str = "alder",
    portal_url: str = "http://localhost:9",
    kind: str = "confidential",
    budget: str = "10",
) -> SiteHome:
    """Make the folder of a site of the consortium, its roster pinned, data set lung registered."""
    home = SiteHome.create(folder, Configuration(site, portal_url, pinned_roster=consortium.pinned))
    key = consortium.site_key(site)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(home.identity_path, pem)
    data_sets.sign_register(home, [], now=NOW)
    records = folder / "lung.csv"
    records.write_text(RECORDS)
    registration = data_sets.Registration(
        "lung", kind, "csv", records, epsilon_from_decimal(budget), "pid"
    )
    data_sets.register(home, registration, now=NOW)
    return home


@dataclass
class Log:
    """The portal's log, with genuine checkpoints."""

    consortium: Consortium
    entries: list[entry.Entry] = field(default_factory=list)

    def append(self, event: str, study: str = "", **data: Any) -> entry.Entry:
        """Append an entry, of `study` if one is named."""
        previous = self.entries[-1].chain_hash if self.entries else entry.GENESIS
        made = entry.make(
            index=len(self.entries),
            previous=previous,
            event=event,
            actor="portal",
            subject="run:run-1",
            study=study,
            data=data,
            at=NOW,
        )
        self.entries.append(made)
        return made

    @property
    def leaf_hashes(self) -> list[bytes]:
        """The leaf hashes of all entries."""
        return [made.leaf_hash for made in self.entries]

    def head(self) -> checkpoint.Checkpoint:
        """Return the tree head over all entries."""
        root = merkle.root_hash(self.leaf_hashes)
        return checkpoint.Checkpoint(LOG_ORIGIN, len(self.entries), root)

    def note(self, *cosigners: str) -> SignedNote:
        """Return the checkpoint over all entries, cosigned by some sites."""
        note = checkpoint.sign(self.head(), self.consortium.log_key)
        lines = [
            checkpoint.cosign(
                self.head(),
                self.consortium.site_key(site),
                witness=site,
                timestamp=int(NOW.timestamp()),
            )
            for site in cosigners
        ]
        return note.with_signatures(*lines)

    def entries_message(self, first: int = 0, *statements: Envelope) -> Message:
        """Return the message with the entries from `first` on, and decisions that they record."""
        return {
            "type": "entries",
            "first": first,
            "leaves": [to_base64(made.leaf) for made in self.entries[first:]],
            "statements": [statement.to_json() for statement in statements],
        }

    def checkpoint_message(self, old_size: int) -> Message:
        """Return the message that asks a site to cosign the newest checkpoint."""
        proof = merkle.consistency_proof(self.leaf_hashes, old_size)
        return {
            "type": "checkpoint",
            "note": self.note().encode(),
            "old_size": old_size,
            "proof": [to_base64(item) for item in proof],
        }


@dataclass
class Attempt:
    """One attempt as an honest portal and two honest peers would carry it on."""

    consortium: Consortium
    plan: StudyPlan
    run: str = RUN
    number: int = 1
    session: str = SESSION
    noise: str = "distributed"
    manifest: RunManifest | None = None

    @property
    def name(self) -> dict[str, Any]:
        """The fields that name it in every message."""
        return {"run": self.run, "attempt": self.number}

    def invitation(self, **changes: Any) -> Message:
        """Return the invitation, with changes to the evidence."""
        evidence = self.consortium.evidence(self.plan, **changes)
        return {
            "type": "invitation",
            **self.name,
            "session": self.session,
            "evidence": evidence.to_json(),
        }

    def peer_key(self, site: str) -> X25519PrivateKey:
        """Return the session key of another site."""
        return agreement_key(f"{site} {self.run} {self.number}")

    def offer_of(self, site: str, **changes: Any) -> Envelope:
        """Return the key offer of another site, with changes."""
        offer = KeyOffer(
            site=site,
            study_digest=self.plan.digest,
            run=self.run,
            attempt=self.number,
            session=self.session,
            public_key=self.peer_key(site).public_key().public_bytes_raw().hex(),
            data_set=OfferedDataSet("lung", "confidential", "00" * 32),
            checkpoint=None,
            stops=(),
            policy_digest="9d" * 32,
            issued_at=format_moment(NOW),
        )
        return self.sign(site, replace(offer, **changes))

    def sign(self, site: str, payload: Any) -> Envelope:
        """Return a payload signed by a site's identity."""
        return sign_ed25519(payload.KIND, payload.to_json(), self.consortium.site_key(site))

    def manifest_message(
        self, own_offer: Envelope, offers: dict[str, Envelope] | None = None, **changes: Any
    ) -> Message:
        """Return the manifest over these offers, with changes to it."""
        peers = offers or {site: self.offer_of(site) for site in SITES if site != "alder"}
        offers = {"alder": own_offer, **peers}
        manifest = RunManifest(
            study=self.plan.study,
            study_digest=self.plan.digest,
            class_digest=self.plan.declaration.digest,
            run=self.run,
            attempt=self.number,
            session=self.session,
            profile="additive",
            noise=self.noise,
            nonce="77" * 32,
            parties=tuple(
                ManifestParty(
                    party, site, KeyOffer.of(offers[site]).public_key, offers[site].digest
                )
                for party, site in enumerate(self.plan.sites)
            ),
            recipient=Recipient("gate", self.consortium.roster.portal.gate_key),
            roster_digest=self.consortium.roster.digest,
            deadline=format_moment(NOW + timedelta(minutes=10)),
        )
        self.manifest = replace(manifest, **changes)
        return {
            "type": "manifest",
            **self.name,
            "manifest": to_base64(self.manifest.canonical()),
            "key_offers": {site: offer.to_json() for site, offer in offers.items()},
        }

    def acceptance_of(self, site: str, digest: str | None = None) -> Envelope:
        """Return another site's acceptance of the manifest."""
        assert self.manifest is not None
        accepted = digest or self.manifest.digest
        return self.sign(site, RunAcceptance(site, accepted, format_moment(NOW)))

    def start_message(self, own: dict[str, Any], **changes: Envelope) -> Message:
        """Return the message that starts the attempt, with changes to single acceptances."""
        peers = {site: self.acceptance_of(site) for site in SITES if site != "alder"} | changes
        acceptances = {site: envelope.to_json() for site, envelope in peers.items()}
        return {"type": "start", **self.name, "acceptances": {"alder": own, **acceptances}}

    def certificates(self, own: Envelope) -> dict[str, Envelope]:
        """Return the certificates of all sites, agreeing with alder's."""
        assert self.manifest is not None
        alder = ResultCertificate.of(own)
        said = {"alder": own}
        between = hashlib.sha256(b"birch and cedar").hexdigest()
        for site in ("birch", "cedar"):
            party = self.manifest.party_of(site)
            assert party is not None
            other = "cedar" if site == "birch" else "birch"
            with_alder = alder.transcript[site]
            commitment = output_commitment(
                manifest_digest=self.manifest.digest, party=party.party, salt=bytes(32), share=b"."
            )
            said[site] = self.sign(
                site,
                ResultCertificate(
                    site=site,
                    party=party.party,
                    manifest_digest=self.manifest.digest,
                    transcript={
                        "alder": type(with_alder)(with_alder.received, with_alder.sent),
                        other: type(with_alder)(between, between),
                    },
                    output=Output(alder.output.cells, commitment),
                    issued_at=format_moment(NOW),
                ),
            )
        return said

    def permit_message(
        self,
        log: Log,
        certificates: dict[str, Envelope],
        *,
        permit: bytes | None = None,
        cosigners: tuple[str, ...] = SITES,
        logged: bytes | None = None,
    ) -> Message:
        """Log the permit (or another, `logged`) and return the message that carries it."""
        assert self.manifest is not None
        permit = permit or self.permit(certificates)
        digest = hashlib.sha256(logged or permit).hexdigest()
        made = log.append(EVENT, permit_digest=digest)
        proof = merkle.inclusion_proof(log.leaf_hashes, made.index)
        return {
            "type": "permit",
            **self.name,
            "permit": to_base64(permit),
            "certificates": {site: item.to_json() for site, item in certificates.items()},
            "leaf": base64.b64encode(made.leaf).decode(),
            "index": made.index,
            "proof": [to_base64(item) for item in proof],
            "note": log.note(*cosigners).encode(),
            "release": None,
        }

    def permit(self, certificates: dict[str, Envelope], **changes: Any) -> bytes:
        """Return the genuine permit, with changes to the manifest that it is for."""
        assert self.manifest is not None
        digests = {site: envelope.digest for site, envelope in certificates.items()}
        return build_permit(
            plan=self.plan,
            manifest=replace(self.manifest, **changes),
            certificates=digests,
            now=NOW,
        )
