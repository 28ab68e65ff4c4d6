"""One study that is ready to run, and three sites that answer the portal with genuine signatures.

The sites are in this process and hold no data; they offer keys, countersign, certify, cosign and
seal shares exactly as `docs/protocols/agent.md` says, and check what the portal sends them for an
opening. A test that wants a liar replaces one answer.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from accounts.models import Organisation, Site, User
from audit import canonical, checkpoint
from audit.checkpoint import Checkpoint
from audit.signed_note import SignedNote
from governance.models import (
    ClassApproval,
    ComputationClass,
    Consent,
    OutputCheck,
    Release,
    RosterVersion,
    Run,
    StudyApproval,
)
from governance.permit import verify_permit
from governance.statements.envelope import Envelope, sign_ed25519
from governance.statements.result_statements import ResultCertificate, output_commitment
from governance.statements.run_statements import KeyOffer, RunAcceptance, RunManifest
from studies.documents import format_moment, parse_moment
from studies.models import Study, StudyVersion
from studies.plan import StudyPlan
from tests.factories.evidence import (
    NOW,
    PEOPLE,
    REVIEWERS,
    SITES,
    STEWARDS,
    Consortium,
    agreement_key,
)
from workers.coordinator import answers, attempts, opening, sessions
from workers.coordinator.models import Attempt, Witness
from workers.transport import output_share
from workers.transport.control import Message, Sender, check_message
from workers.transport.output_share import OutputShare

TOTAL = [12, 1000, *range(20, 44), 11, 900, *range(20, 31), 0, *range(31, 42), 0]
"""What the sites of this house hold in shares: for both groups how many of the 12 bins are shown,
its persons, and its cells; the second group's last bin is hidden."""

Lie = Callable[[Message], Message | None]


@dataclass
class FakeSite:
    """A site's agent, its answers derived from what it was sent; no store, no data."""

    consortium: Consortium
    name: str
    party: int
    total: Sequence[int] = tuple(TOTAL)
    session: str = ""
    manifest: RunManifest | None = None
    certificate: str = ""
    seen: tuple[int, str] | None = None
    heard: list[str] = field(default_factory=list)
    lies: dict[str, Lie] = field(default_factory=dict)

    def answer(self, message: Message) -> Message | None:
        """Return what the site answers; None where the protocol asks for no answer."""
        check_message(message, sender=Sender.PORTAL)
        self.heard.append(message["type"])
        if lie := self.lies.get(message["type"]):
            return lie(message)
        return self.honest_answer(message)

    def honest_answer(self, message: Message) -> Message | None:
        """Return what an honest site answers."""
        return getattr(self, f"_{message['type']}")(message)

    def statement(self, payload: Any) -> dict[str, Any]:
        """Return `payload` signed by this site's identity, as JSON."""
        key = self.consortium.site_key(self.name)
        return sign_ed25519(payload.KIND, payload.to_json(), key).to_json()

    def key_offer(self, message: Message, **changes: Any) -> dict[str, Any]:
        """Return the key offer that answers an invitation, with `changes`."""
        public = agreement_key(f"{self.name} {message['session']}").public_key()
        register = self.consortium.register(self.name)
        offer = {
            "site": self.name,
            "study_digest": hashlib.sha256(
                base64.b64decode(message["evidence"]["plan"])
            ).hexdigest(),
            "run": message["run"],
            "attempt": message["attempt"],
            "session": message["session"],
            "public_key": public.public_bytes_raw().hex(),
            "data_set": {"name": "lung", "kind": "public", "register_digest": register.digest},
            "checkpoint": None,
            "stops": [],
            "policy_digest": "9d" * 32,
            "issued_at": format_moment(NOW),
            **changes,
        }
        return self.statement(KeyOffer.from_json(offer))

    def certify(self, **changes: Any) -> dict[str, Any]:
        """Return this site's result certificate, with `changes`."""
        assert self.manifest is not None
        salt, share = self._output()
        digest = self.manifest.digest
        certificate = {
            "site": self.name,
            "party": self.party,
            "manifest_digest": digest,
            "transcript": {
                peer: {"sent": _traffic(self.name, peer), "received": _traffic(peer, self.name)}
                for peer in SITES
                if peer != self.name
            },
            "output": {
                "cells": len(self.total),
                "commitment": output_commitment(
                    manifest_digest=digest, party=self.party, salt=salt, share=share
                ),
            },
            "issued_at": format_moment(NOW),
            **changes,
        }
        envelope = self.statement(ResultCertificate.from_json(certificate))
        self.certificate = Envelope.parse(envelope).digest
        return envelope

    def sealed_share(self, share: bytes | None = None) -> str:
        """Return this site's output share, or another, encrypted for the manifest's recipient."""
        assert self.manifest is not None
        salt, own = self._output()
        recipient = bytes.fromhex(self.manifest.recipient.public_key)
        ciphertext = output_share.encrypt(
            OutputShare(salt, own if share is None else share),
            X25519PublicKey.from_public_bytes(recipient),
            manifest_digest=self.manifest.digest,
            site=self.name,
        )
        return base64.b64encode(ciphertext).decode()

    def _invitation(self, message: Message) -> Message:
        self.session = message["session"]
        return _about(message, "key_offer", envelope=self.key_offer(message))

    def _manifest(self, message: Message) -> Message:
        self.manifest = RunManifest.parse(base64.b64decode(message["manifest"]))
        accepted = RunAcceptance(self.name, self.manifest.digest, format_moment(NOW))
        return _about(message, "acceptance", envelope=self.statement(accepted))

    def _start(self, message: Message) -> Message:
        return _about(message, "certificate", envelope=self.certify())

    def _checkpoint(self, message: Message) -> Message:
        note = SignedNote.parse(message["note"])
        head = Checkpoint.parse(note.text)
        key = self.consortium.site_key(self.name)
        line = checkpoint.cosign(
            head, key, witness=self.name, timestamp=int(NOW.timestamp())
        ).encode()
        self.seen = (head.size, head.root.hex())
        return {"type": "cosignature", "size": head.size, "line": line}

    def _permit(self, message: Message) -> Message:
        assert self.manifest is not None
        verify_permit(
            base64.b64decode(message["permit"]),
            entry_leaf=base64.b64decode(message["leaf"]),
            index=message["index"],
            inclusion_proof=tuple(map(base64.b64decode, message["proof"])),
            checkpoint_note=message["note"],
            roster=self.consortium.roster,
            manifest=self.manifest,
            site=self.name,
            own_certificate=self.certificate,
        )
        return _about(message, "shares", ciphertext=self.sealed_share())

    def _entries(self, message: Message) -> Message:
        return {"type": "entries_held", "size": message["first"] + len(message["leaves"])}

    def _rosters(self, _message: Message) -> None:
        return None

    def _cancel(self, _message: Message) -> None:
        return None

    def _output(self) -> tuple[bytes, bytes]:
        """Return salt and share: the last party's makes the shares sum to the total."""
        size = len(self.total)
        shares = [_pseudorandom(self.session, party, size) for party in range(len(SITES) - 1)]
        if self.party < len(shares):
            share = shares[self.party]
        else:
            share = np.array(self.total, dtype=np.int64).astype(np.uint64) - sum(shares)
        salt = hashlib.sha256(f"salt {self.name} {self.session}".encode()).digest()
        return salt, share.astype("<u8").tobytes()


class House:
    """The portal's database with one study ready to run, and its three sites."""

    def __init__(self, consortium: Consortium | None = None, **changes: Any) -> None:
        self.consortium = consortium or Consortium()
        self.plan: StudyPlan = self.consortium.plan(**changes)
        self._create_people()
        self._create_study()
        self.sites = {
            name: FakeSite(self.consortium, name, party) for party, name in enumerate(SITES)
        }
        self.run = self.new_run()

    def new_run(self) -> Run:
        """Return another run of the study, pending."""
        number = self.version.runs.count() + 1
        return Run.objects.create(
            identifier=f"run-{number:08d}",
            version=self.version,
            number=number,
            requested_by=self.users["m-ines"],
        )

    @property
    def attempt(self) -> Attempt:
        """The newest attempt of the newest run, fresh from the database."""
        return self.run.attempts.latest("number")

    @property
    def release(self) -> Release:
        """The release of the newest run, fresh from the database."""
        return Release.objects.get(run=self.run)

    def row(self, site: str) -> Site:
        """Return the portal's row of `site`."""
        return Site.objects.get(slug=site)

    def due(self, site: str) -> list[str]:
        """Return the types of the messages that `site` is owed now."""
        return [message["type"] for message in self.messages(site)]

    def messages(self, site: str) -> list[Message]:
        """Return what `site` is owed now, but for the rosters that come with each connection.

        Its copy of the log is brought up to date before.
        """
        due = sessions.due(self.row(site))
        for _, message in due:
            if message["type"] == "entries":
                answers.receive(self.row(site), self.sites[site].honest_answer(message) or {})
                return self.messages(site)
        return [message for key, message in due if key.kind != "rosters"]

    def deliver(self, site: str, *only: str) -> None:
        """Have `site` answer what it is owed now, or those of the types `only`."""
        for message in self.messages(site):
            if not only or message["type"] in only:
                reply = self.sites[site].answer(message)
                if reply is not None:
                    check_message(reply, sender=Sender.AGENT)
                    answers.receive(self.row(site), reply)

    def start(self) -> None:
        """Give the run its attempt."""
        attempts.advance(self.run.identifier)
        self.run.refresh_from_db()

    def play(self, *only: str) -> None:
        """Have every site answer each of `only` in turn; by default up to the certificates."""
        for kind in only or ("invitation", "manifest", "start"):
            for site in SITES:
                self.deliver(site, kind)
        self.run.refresh_from_db()

    def seal(self) -> None:
        """Bring the run to its sealed result."""
        self.start()
        self.play()

    def open(self) -> None:
        """Bring the run to its opened result: permit, cosignatures, shares, reconstruction."""
        self.seal()
        opening.open_result(self.run.identifier)
        self.play("checkpoint", "permit")
        opening.open_result(self.run.identifier)

    def check_output(self, member: str, decision: str = "pass", **changes: Any) -> None:
        """Store an output check by `member`, as the action does."""
        release = self.release
        envelope = self.consortium.output_check(
            member,
            **{
                "study": self.plan.study,
                "run": self.run.identifier,
                "result_digest": release.result_digest,
                "decision": decision,
                **changes,
            },
        )
        OutputCheck.objects.create(
            release=release, **self._decision(envelope, member, decision, lasting=False)
        )

    def add_consent(self, site: str, decision: str) -> None:
        """Store another decision of `site`, newer than its consent."""
        envelope = self.consortium.consent(
            site, self.plan, decision=decision, issued_at=format_moment(NOW)
        )
        self._store_consent(site, envelope, decision)

    def revoke_class(self, *members: str) -> None:
        """Store a revocation of the computation class by each of `members`."""
        for member in members:
            envelope = self.consortium.class_decision(
                member, decision="revoke", issued_at=format_moment(NOW)
            )
            ClassApproval.objects.create(
                computation_class=self.computation_class,
                **self._decision(envelope, member, "revoke"),
            )

    def _create_people(self) -> None:
        self.users = {}
        for site in SITES:
            organisation = Organisation.objects.create(slug=f"{site}-hospital", name=site.title())
            key = self.consortium.site_key(site).public_key().public_bytes_raw().hex()
            row = Site.objects.create(slug=site, organisation=organisation, identity_key=key)
            Witness.objects.create(site=row)
        for person in PEOPLE:
            self.users[person.id] = User.objects.create(
                username=person.id,
                member_id=person.id,
                organisation=Organisation.objects.get(slug=person.organisation),
            )
        envelope = self.consortium.roster_envelope
        RosterVersion.objects.create(version=1, digest=envelope.digest, envelope=envelope.to_json())

    def _create_study(self) -> None:
        plan, declaration = self.plan, self.plan.declaration
        self.computation_class = ComputationClass.objects.create(
            name=declaration.name,
            version=declaration.version,
            title=declaration.title,
            document=canonical.dumps(declaration.to_json()),
            digest=declaration.digest,
            state=ComputationClass.State.APPROVED,
            proposed_by=self.users["m-pete"],
        )
        study = Study.objects.create(
            identifier=plan.study,
            title=plan.title,
            author=self.users["m-ines"],
            state=Study.State.READY,
        )
        self.version = StudyVersion.objects.create(
            study=study, number=plan.version, plan=plan.canonical(), digest=plan.digest
        )
        self.version.sites.set(Site.objects.filter(slug__in=plan.sites))
        for member in REVIEWERS:
            approval = self.consortium.class_decision(member)
            ClassApproval.objects.create(
                computation_class=self.computation_class,
                **self._decision(approval, member, "approve"),
            )
            review = self.consortium.review(member, plan)
            StudyApproval.objects.create(
                version=self.version, **self._decision(review, member, "approve")
            )
        for site in plan.sites:
            self._store_consent(site, self.consortium.consent(site, plan), "consent")

    def _store_consent(self, site: str, envelope: Envelope, decision: str) -> None:
        Consent.objects.create(
            version=self.version,
            site=self.row(site),
            **self._decision(envelope, STEWARDS[site], decision),
        )

    def _decision(
        self, envelope: Envelope, member: str, decision: str, *, lasting: bool = True
    ) -> dict[str, Any]:
        until = {"valid_until": parse_moment(envelope.payload["valid_until"])} if lasting else {}
        return {
            "envelope": envelope.to_json(),
            "digest": envelope.digest,
            "signer": self.users[member],
            "decision": decision,
            "log_index": 0,
            **until,
        }


def _about(message: Message, kind: str, **fields: Any) -> Message:
    return {"type": kind, "run": message["run"], "attempt": message["attempt"], **fields}


def _traffic(sender: str, receiver: str) -> str:
    return hashlib.sha256(f"{sender} to {receiver}".encode()).hexdigest()


def _pseudorandom(session: str, party: int, size: int) -> Any:
    stream = hashlib.shake_256(f"{session} {party}".encode()).digest(8 * size)
    return np.frombuffer(stream, dtype="<u8").astype(np.uint64)
