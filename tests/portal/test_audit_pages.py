"""The auditor's pages: browse, prove, verify, export."""

import io
import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import User
from audit import bundle, log
from audit.receipt import Receipt
from tests.factories.evidence import LOG_ORIGIN
from tests.factories.portal import House


@pytest.fixture
def client(house: House, auditor: User) -> Client:
    """Return the auditor's browser, on a log with a checkpoint and one entry after it."""
    log.publish_checkpoint(key=house.consortium.log_key, origin=LOG_ORIGIN)
    house.draft()
    signed_in = Client()
    signed_in.force_login(auditor)
    return signed_in


def test_the_log_is_browsed_newest_first_and_filtered(client: Client, house: House) -> None:
    newest = log.size() - 1
    page = client.get("/audit/").content.decode()
    found = re.search(r'href="/audit/(\d+)/"', page)
    assert found is not None
    assert int(found[1]) == newest
    by_family = client.get("/audit/?event=class.&actor=m-ruth").content.decode()
    assert len(re.findall(r'href="/audit/\d+/"', by_family)) == 1
    assert "class.approval_signed" in by_family
    assert "No entry matches" in client.get("/audit/?until=2020-01-01").content.decode()
    assert client.get("/audit/?since=never&page=999&event=x").status_code == 200


def test_an_entry_is_shown_with_what_a_browser_needs_to_verify_it(client: Client) -> None:
    page = client.get("/audit/3/").content.decode()
    sent = re.search(r'id="proof-document" type="application/json">(.*?)</script>', page)
    assert sent is not None
    proof, entry, head = json.loads(sent[1]), log.entry(3), log.latest_checkpoint()
    assert head is not None
    assert proof["leaf"].encode() == entry.leaf
    assert proof["chain_hash"] == log.entry(4).previous.hex()
    assert (proof["root"], proof["size"]) == (head.root.hex(), head.size)
    assert proof["path"] == [value.hex() for value in log.inclusion(3, head.size)]


def test_an_entry_after_the_checkpoint_waits_for_the_next(client: Client) -> None:
    newest = log.size() - 1
    assert "No checkpoint covers this entry yet" in client.get(f"/audit/{newest}/").content.decode()
    assert client.get(f"/audit/{newest}/receipt/").status_code == 404
    assert client.get(f"/audit/{newest + 1}/").status_code == 404


def test_a_receipt_taken_away_convinces_without_the_portal(client: Client, house: House) -> None:
    from governance.queries import current_roster

    receipt = Receipt.parse(client.get("/audit/3/receipt/").content.decode())
    receipt.verify(log.entry(3).leaf, log=current_roster().log_key, witnesses=(), quorum=0)


def test_the_export_holds_every_entry(client: Client) -> None:
    answer: Any = client.get("/audit/export/")
    heads, entries = bundle.read(io.BytesIO(b"".join(answer.streaming_content)))
    assert len(heads) == 1
    assert len(list(entries)) == log.size()


def test_verifying_names_the_row_that_was_changed(client: Client) -> None:
    assert "The log is intact" in client.post("/audit/verify/").content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in cursor.fetchall():
            cursor.execute(f'DROP TRIGGER "{name}"')
        cursor.execute("UPDATE audit_entry SET actor = 'm-nobody' WHERE \"index\" = 3")
    page = client.post("/audit/verify/").content.decode()
    assert "The log is not intact" in page
    assert "entry 3" in page
