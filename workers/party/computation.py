"""One site's part of one computation, from a queued row to a sealed share.

The order is part of the security: take the lease, draw the noise, dial the relay, make the triples
that the computation will take, and only then load the data. Whatever goes wrong afterwards, the
portal learns `aborted`, or that a party is gone; the journal says more, and never a value. A dead
computation is never resumed: its randomness may have been used, and a retry is a new attempt with
new keys.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from dp import mechanisms, noise
from governance.evidence import Evidence
from governance.statements.envelope import sign_ed25519
from governance.statements.result_statements import (
    Output,
    ResultCertificate,
    Traffic,
    output_commitment,
)
from governance.statements.run_statements import RunManifest
from studies.documents import format_moment
from studies.plan import StudyPlan
from workers.analyses import registry
from workers.analyses.noised_sum import Setting
from workers.mpc.engine import Engine
from workers.mpc.preprocessing import transfers
from workers.mpc.preprocessing.triple_sources import Demand, TriplePool
from workers.mpc.profiles import additive
from workers.mpc.protocol import Buffer, Party, PartyId, Round
from workers.mpc.protocol import Protocol as Computation
from workers.mpc.randomness import Randomness
from workers.party import attempts, data_access, data_sets, endings, redaction
from workers.party.attempts import Attempt
from workers.party.errors import LeaseLost, PartyError
from workers.party.home import SiteHome
from workers.party.lease import Lease
from workers.party.rehearsed_arithmetic import cost_of, setting_of
from workers.party.responder import Clock
from workers.party.store import record
from workers.transport import channel as channels
from workers.transport.errors import FrameError, TransportError
from workers.transport.output_share import SALT_BYTES
from workers.transport.secure import SessionSecrets


class SessionChannel(Protocol):
    """What a computation talks through: blocking rounds, and digests of what was said."""

    def exchange(self, round: Round) -> Mapping[PartyId, Buffer]:  # noqa: A002
        """Send one round and return what it expects."""
        ...

    def transcript_digests(self) -> Mapping[int, Mapping[str, str]]:
        """Return for every peer the digests of what was sent and received."""
        ...

    def abort(self) -> None:
        """Give up from another thread: whoever waits in `exchange` stops waiting."""
        ...


Connect = Callable[["Session"], AbstractContextManager[SessionChannel]]


@dataclass(frozen=True, repr=False)
class Session:
    """What one attempt of this site runs on."""

    home: SiteHome
    held: Attempt
    manifest: RunManifest
    plan: StudyPlan

    @property
    def party(self) -> int:
        """This site's number."""
        return int(self.held.party or 0)

    @property
    def site(self) -> str:
        """This site's name."""
        return self.manifest.parties[self.party].site

    def secrets(self) -> SessionSecrets:
        """Return the keys of this attempt; they serve one channel only."""
        return SessionSecrets(
            session_id=bytes.fromhex(self.manifest.session),
            manifest_digest=bytes.fromhex(self.manifest.digest),
            own=self.party,
            private_key=X25519PrivateKey.from_private_bytes(self.held.private_key or b""),
            peers={
                peer.party: bytes.fromhex(peer.public_key)
                for peer in self.manifest.parties
                if peer.party != self.party
            },
        )


def compute(home: SiteHome, run: str, attempt: int, *, clock: Clock, connect: Connect) -> None:
    """Carry out this site's part of an attempt, if it is queued and nobody has taken it.

    Always returns: how it ended stands in the store, where the agent finds it.
    """
    try:
        with home.store.transaction() as transaction:
            held = attempts.take(transaction, run, attempt)
    except PartyError:
        return  # a second hint for an attempt that is taken or over
    try:
        manifest = RunManifest.parse(held.manifest or b"")
        plan = StudyPlan.parse(Evidence.parse(json.loads(held.evidence)).plan)
        session = Session(home, held, manifest, plan)
        with Lease(home.store, held) as lease:
            _compute(session, lease, clock=clock, connect=connect)
    except LeaseLost:
        pass
    except Exception as error:
        _stop(home, held, error, clock=clock)
    home.store.forget_erased()


def noise_of(plan: StudyPlan, manifest: RunManifest) -> npt.NDArray[np.int64] | None:
    """Draw this site's noise share; None in a rehearsal that leaves the noise out."""
    if manifest.noise == "off":
        return None
    declaration = plan.declaration
    needed = mechanisms.shares_needed(len(manifest.parties), declaration.noise_collusion_bound)
    return noise.noise_share(
        declaration.cells(plan.parameters),
        scale=mechanisms.scale(plan.event),
        shares=needed,
        random_bytes=os.urandom,
    )


def _compute(session: Session, lease: Lease, *, clock: Clock, connect: Connect) -> None:
    plan = session.plan
    analysis = registry.get(plan.declaration.identifier)
    drawn = noise_of(plan, session.manifest)
    setting = setting_of(plan)
    parties = len(session.manifest.parties)
    cost = cost_of(plan)
    with connect(session) as channel:
        lease.when_lost = channel.abort
        party = Party(PartyId(session.party), parties, Randomness.fresh())
        preparing = prepared(party, bytes.fromhex(session.manifest.session), cost.triples)
        engine = channels.run(preparing, channel)
        lease.report(step="computing", inputs_loaded=1)
        data = data_access.load(data_sets.locate(session.home, plan.data_set))
        vector = analysis.local_step(data, plan.cohort.to_json(), plan.parameters)
        share = channels.run(sealed(analysis, engine, vector, drawn, setting), channel)
        digests = channel.transcript_digests()
    # Leaving the context has waited until the others have what was sent to them.
    _seal(session, share, cost.output_elements, digests, clock=clock)


def prepared(party: Party, session: bytes, demand: Demand) -> Computation[Engine]:
    """Return an engine with all the triples that the computation will take."""
    pool = TriplePool((yield from transfers.set_up(party, session)))
    yield from pool.prepare(demand)
    return (yield from additive.start(party, triples=pool))


def sealed(
    analysis: registry.Analysis,
    engine: Engine,
    vector: npt.NDArray[np.int64],
    drawn: npt.NDArray[np.int64] | None,
    setting: Setting,
) -> Computation[bytes]:
    """Return this site's output share, encoded; nothing is opened."""
    result = yield from analysis.secure_step(engine, vector, drawn, setting)
    return (yield from engine.sealed(result))


def _seal(
    session: Session,
    share: bytes,
    cells: int,
    digests: Mapping[int, Mapping[str, str]],
    *,
    clock: Clock,
) -> None:
    salt = os.urandom(SALT_BYTES)
    commitment = output_commitment(
        manifest_digest=session.manifest.digest, party=session.party, salt=salt, share=share
    )
    certificate = ResultCertificate(
        site=session.site,
        party=session.party,
        manifest_digest=session.manifest.digest,
        transcript={
            peer.site: Traffic(**digests[peer.party])
            for peer in session.manifest.parties
            if peer.party != session.party
        },
        output=Output(cells=cells, commitment=commitment),
        issued_at=format_moment(clock()),
    )
    envelope = sign_ed25519(certificate.KIND, certificate.to_json(), session.home.identity)
    held = session.held
    with session.home.store.transaction() as transaction:
        attempts.seal(
            transaction, held, share=share, salt=salt, certificate=json.dumps(envelope.to_json())
        )
        record(transaction, at=clock(), event="sealed", run=held.run, attempt=held.attempt)


def _stop(home: SiteHome, held: Attempt, error: Exception, *, clock: Clock) -> None:
    with home.store.transaction() as transaction:
        found = attempts.get(transaction, held.run, held.attempt)
        if found.state != "computing" or found.lease != held.lease:
            return
        endings.stop(transaction, found, reason=_public_reason(error), now=clock())
        record(
            transaction,
            at=clock(),
            event="why it was stopped",
            run=held.run,
            attempt=held.attempt,
            detail=redaction.describe(error),
        )


def _public_reason(error: Exception) -> str:
    """Return the public code: a party that is gone is named, whatever else went wrong is not."""
    gone = isinstance(error, TransportError) and not isinstance(error, FrameError)
    return "site_lost" if gone else "aborted"
