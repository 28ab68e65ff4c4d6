"""Three sites compute through the product's relay, each as its worker would."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path

from governance.certificates import SealedSession, check_certificates
from governance.statements.envelope import Envelope
from governance.statements.run_statements import KeyOffer
from studies.documents import format_moment
from tests.factories.evidence import NOW, SITES, Consortium
from tests.workers.party.consortium_site import Attempt, make_home
from tests.workers.transport.servers import Relay
from workers.coordinator.relay import Member
from workers.mpc.profiles import additive
from workers.party import attempts, computation, relay
from workers.party.home import SiteHome


def queued(home: SiteHome, attempt: Attempt, party: int, site: str) -> None:
    """Put the attempt into a site's store as its agent leaves it for the worker."""
    assert attempt.manifest is not None
    with home.store.transaction() as transaction:
        attempts.offer(
            transaction,
            attempt.run,
            attempt.number,
            session=attempt.session,
            evidence=json.dumps(attempt.consortium.evidence(attempt.plan).to_json()),
            private_key=attempt.peer_key(site).private_bytes_raw(),
        )
        attempts.accept(
            transaction,
            attempt.run,
            attempt.number,
            manifest=attempt.manifest.canonical(),
            manifest_digest=attempt.manifest.digest,
            party=party,
        )
        attempts.queue(transaction, attempt.run, attempt.number)


def test_three_workers_seal_shares_of_the_exact_sum(tmp_path: Path, consortium: Consortium) -> None:
    attempt = Attempt(consortium, consortium.plan(mode="rehearsal"), noise="off")
    own = attempt.offer_of("alder")
    assert KeyOffer.of(own).site == "alder"
    deadline = format_moment(relay.now() + timedelta(seconds=60))
    attempt.manifest_message(own, deadline=deadline)
    assert attempt.manifest is not None
    with Relay() as server:
        server.members[attempt.session] = {
            site: Member(party, consortium.site_key(site).public_key().public_bytes_raw())
            for party, site in enumerate(SITES)
        }
        url = server.url.replace("ws", "http", 1)
        homes = {
            site: make_home(tmp_path / site, consortium, site=site, portal_url=url, kind="public")
            for site in SITES
        }
        threads = []
        for party, (site, home) in enumerate(homes.items()):
            queued(home, attempt, party, site)
            arguments = (home, attempt.run, attempt.number)
            options = {"clock": lambda: NOW, "connect": relay.connect}
            threads.append(
                threading.Thread(target=computation.compute, args=arguments, kwargs=options)
            )
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    certificates, shares = {}, []
    for site, home in homes.items():
        with home.store.reading() as transaction:
            found = attempts.get(transaction, attempt.run, attempt.number)
        assert found.state == "sealed", found
        assert found.output_share is not None
        certificates[site] = Envelope.parse(json.loads(found.certificate))
        shares.append(found.output_share)
    said = check_certificates(SealedSession(attempt.manifest, certificates), consortium.roster)
    assert {certificate.output.cells for certificate in said.values()} == {52}
    persons = additive.reconstruct(shares).reshape(2, 26)[:, 1]
    assert persons.sum() == 3 * 60
