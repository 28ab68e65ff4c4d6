"""The honest path: one site's agent and worker, from invitation to an encrypted output share."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from tests.factories.evidence import Consortium
from tests.workers.party.consortium_site import Attempt, Log, make_home
from tests.workers.party.conversation import cosigned, sealed
from tests.workers.party.lying_portal import lying_portal
from tests.workers.party.session_threads import Peers, computing
from workers.analyses import kaplan_meier
from workers.mpc.profiles import additive
from workers.party import attempts, data_access, data_sets, ledger
from workers.party.home import SiteHome
from workers.transport import output_share
from workers.transport.control import Message


def opened(message: Message, consortium: Consortium, attempt: Attempt, peers: Peers) -> list[int]:
    """Open a site's share as the gate does and return the result."""
    assert message["type"] == "shares", message
    assert attempt.manifest is not None
    mine = output_share.decrypt(
        base64.b64decode(message["ciphertext"]),
        consortium.gate_key,
        manifest_digest=attempt.manifest.digest,
        site="alder",
    )
    shares = {**peers.shares, 0: mine.share}
    result = additive.reconstruct([shares[party] for party in sorted(shares)])
    return [int(value) for value in result]


async def test_a_rehearsal_without_noise_opens_exactly_the_sum(
    tmp_path: Path, consortium: Consortium
) -> None:
    home = make_home(tmp_path / "alder", consortium, kind="public")
    attempt = Attempt(consortium, consortium.plan(mode="rehearsal"), noise="off")
    peers, log = Peers(vector_value=2), Log(consortium)
    async with lying_portal(home, computing(home, peers)) as portal:
        portal.log = log
        own = await sealed(portal, attempt)
        message = attempt.permit_message(log, attempt.certificates(own))
        result = opened(await portal.ask(message), consortium, attempt, peers)
    # 60 persons at alder, and 2 in each of 48 cells at each of the two others; of both groups.
    rows = np.array(result).reshape(2, 26)
    assert rows[:, 1].sum() == 60 + 2 * 2 * 48
    # Eight a bin are added to the end of each curve: two bins and 16 persons remain behind it.
    assert rows[:, 0].tolist() == [12, 12] or np.all(rows[:, 1] - rows[:, 2:].sum(axis=1) >= 11)
    with home.store.reading() as transaction:
        found = attempts.get(transaction, "run-1", 1)
        balance = ledger.balance(transaction, "lung")
    assert found.state == "opened"
    assert balance is not None
    assert (balance.committed, balance.reserved) == (2_000_000, 0)


async def test_a_study_opens_the_sum_with_this_site_s_noise_in_it(
    home: SiteHome, consortium: Consortium
) -> None:
    privacy = {"currency": "micro-epsilon", "epsilon": "0.05"}
    attempt = Attempt(consortium, consortium.plan(privacy=privacy))
    peers, log = Peers(), Log(consortium)
    async with lying_portal(home, computing(home, peers)) as portal:
        portal.log = log
        own = await sealed(portal, attempt)
        message = attempt.permit_message(log, attempt.certificates(own))
        result = np.array(opened(await portal.ask(message), consortium, attempt, peers))
    data = data_access.load(data_sets.locate(home, "lung"))
    exact = kaplan_meier.local_step(data, attempt.plan.cohort.to_json(), attempt.plan.parameters)
    rows, table = result.reshape(2, 26), (exact + 2 * 2).reshape(2, 24)
    assert np.count_nonzero(rows[:, 1] - table.sum(axis=1)) == 2, "noise of scale 20 in 24 cells"


async def test_a_message_answered_before_gets_the_same_bytes(
    home: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    log = Log(consortium)
    async with lying_portal(home, computing(home, Peers())) as portal:
        portal.log = log
        await portal.say(attempt.invitation())
        first = await portal.hear_frame()
        await portal.disconnect()
        await portal.say(attempt.invitation())
        assert await portal.hear_frame() == first

        own = await sealed(portal, attempt)
        message = attempt.permit_message(log, attempt.certificates(own))
        await portal.say(message)
        shares = await portal.hear_frame()
        await portal.disconnect()
        await portal.say(message)
        assert await portal.hear_frame() == shares


async def test_it_cosigns_a_log_that_grows(home: SiteHome, consortium: Consortium) -> None:
    log = Log(consortium)
    log.append("study.created")
    async with lying_portal(home, lambda *_: None) as portal:
        portal.log = log
        await portal.say({"type": "rosters", "rosters": [consortium.roster_envelope.to_json()]})
        first = await cosigned(portal, log, 0)
        again = await portal.ask(log.checkpoint_message(0))
        assert again == first
        for number in range(5):
            log.append("study.approved", number=number)
        assert (await cosigned(portal, log, 1))["size"] == 6
        await portal.disconnect()
        assert portal.hello["checkpoint"] == {"size": 6, "root": log.head().root.hex()}
