"""The release gate of a site: a sealed share waits for a steward, and the word counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.factories.evidence import Consortium
from tests.workers.party.consortium_site import Attempt, Log
from tests.workers.party.conversation import sealed
from tests.workers.party.lying_portal import LyingPortal, lying_portal
from tests.workers.party.session_threads import Peers, computing
from workers.party import ledger
from workers.party.cli import main
from workers.party.documents import write_private
from workers.party.home import SiteHome
from workers.party.policy import Choices
from workers.transport.control import Message


@pytest.fixture
def gated(home: SiteHome) -> SiteHome:
    """Return a site whose policy asks a steward before any share leaves."""
    home.write_policy(Choices(require_release=True).to_cedar())
    return home


def key_file(folder: Path, consortium: Consortium, member: str) -> Path:
    """Write the private key of a member to a file and return its path."""
    path = folder / f"{member}.pem"
    key = consortium.person(member).private_key
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def spent(home: SiteHome) -> int:
    """Return what the data set has spent for good."""
    with home.store.reading() as transaction:
        balance = ledger.balance(transaction, "lung")
    assert balance is not None
    return balance.committed


async def awaiting(portal: LyingPortal, attempt: Attempt, log: Log) -> Message:
    """Carry an attempt to a permit that waits, and return the permit."""
    portal.log = log
    certificates = attempt.certificates(await sealed(portal, attempt))
    permit = attempt.permit_message(log, certificates)
    await portal.say(permit)
    await portal.reached("awaiting_release")
    return permit


async def test_a_share_leaves_once_a_steward_at_the_site_lets_it(
    gated: SiteHome, consortium: Consortium, tmp_path: Path, capsys: Any
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(gated, computing(gated, Peers())) as portal:
        permit = await awaiting(portal, attempt, Log(consortium))
        assert spent(gated) == 0
        assert main(["--home", str(gated.path), "release"]) == 0
        assert "run-1" in capsys.readouterr().out
        key = key_file(tmp_path, consortium, "m-ada")
        command = ["--home", str(gated.path), "release", "run-1", "--key", str(key), "--yes"]
        assert main(command) == 0
        await portal.reached("sealed")
        assert (await portal.ask(permit))["type"] == "shares"
    assert spent(gated) == 2_000_000
    capsys.readouterr()
    assert main(["--home", str(gated.path), "release"]) == 0
    assert "No share waits" in capsys.readouterr().out


async def test_a_steward_who_refuses_keeps_the_result_closed(
    gated: SiteHome, consortium: Consortium, tmp_path: Path, capsys: Any
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(gated, computing(gated, Peers())) as portal:
        permit = await awaiting(portal, attempt, Log(consortium))
        key = key_file(tmp_path, consortium, "m-ada")
        command = ["--home", str(gated.path), "release", "run-1", "--key", str(key)]
        assert main([*command, "--decision", "refuse", "--yes"]) == 0
        answer = await portal.ask(permit)
        assert (answer["type"], answer["code"]) == ("refusal", "release_refused")
    assert spent(gated) == 0
    capsys.readouterr()
    assert main(["--home", str(gated.path), "explain", "run-1"]) == 0
    told = capsys.readouterr().out
    assert "Attempt 1, invitation: accepted" in told
    assert "Ruth Birch (m-ruth) for birch-hospital" in told
    assert "Attempt 1, permit: REFUSED" in told
    assert "A data steward of alder refused" in told


async def test_a_stewards_word_may_come_through_the_portal(
    gated: SiteHome, consortium: Consortium
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(gated, computing(gated, Peers())) as portal:
        permit = await awaiting(portal, attempt, Log(consortium))
        assert attempt.manifest is not None
        false = {
            "another site's steward": consortium.site_release(
                "alder", attempt.manifest, signer="m-ben"
            ),
            "a reviewer of the same hospital": consortium.site_release(
                "alder", attempt.manifest, signer="m-rosa"
            ),
            "another site's word": consortium.site_release("birch", attempt.manifest),
            "another session": consortium.site_release(
                "alder", attempt.manifest, manifest_digest="0" * 64
            ),
        }
        for word in false.values():
            await portal.say({**permit, "release": word.to_json()})
            await portal.reached("awaiting_release")
        genuine = consortium.site_release("alder", attempt.manifest).to_json()
        assert (await portal.ask({**permit, "release": genuine}))["type"] == "shares"


async def test_only_a_steward_of_this_site_releases(
    gated: SiteHome, consortium: Consortium, tmp_path: Path, capsys: Any
) -> None:
    attempt = Attempt(consortium, consortium.plan())
    async with lying_portal(gated, computing(gated, Peers())) as portal:
        await awaiting(portal, attempt, Log(consortium))
        for member in ("m-ben", "m-ruth"):
            key = key_file(tmp_path, consortium, member)
            command = ["--home", str(gated.path), "release", "run-1", "--key", str(key), "--yes"]
            assert main(command) == 1
            assert "is not a data steward of alder" in capsys.readouterr().err
        key = key_file(tmp_path, consortium, "m-ada")
        command = ["--home", str(gated.path), "release", "run-9", "--key", str(key), "--yes"]
        assert main(command) == 1
        assert "no share of run-9 waits" in capsys.readouterr().err
