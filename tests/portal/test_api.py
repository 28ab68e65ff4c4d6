"""The API as a whole: signing in, one form of errors, the audit log, its description."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from accounts.key_registration import registration_message
from accounts.models import User
from audit import log
from audit.receipt import Receipt
from governance.models import RosterVersion
from tests.factories.evidence import Consortium
from tests.factories.portal import House, organisation

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _fresh_throttle() -> None:
    cache.clear()


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


class TestSigningIn:
    @pytest.fixture
    def person(self, db: None) -> User:
        from accounts.actions import create_person

        return create_person(
            username="ines",
            first_name="Ines",
            last_name="Alder",
            email="ines@alder.example",
            organisation=organisation(),
            roles=["pi"],
            password=PASSWORD,
            by=None,
        )

    def login(self, password: str = PASSWORD) -> Any:
        body = {"username": "ines", "password": password}
        return APIClient().post("/api/v1/login/", body, format="json")

    def test_a_token_speaks_for_its_person(self, person: User) -> None:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {self.login().json()['token']}")
        me = client.get("/api/v1/me/").json()
        assert (me["member_id"], me["roles"]) == (person.member_id, ["pi"])
        assert "study.propose" in me["permissions"]
        client.post("/api/v1/logout/")
        assert client.get("/api/v1/me/").status_code == 401

    def test_a_wrong_password_and_an_unknown_name_look_alike(self, person: User) -> None:
        wrong = self.login("incorrect horse")
        body = {"username": "nobody", "password": PASSWORD}
        unknown = APIClient().post("/api/v1/login/", body, format="json")
        assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())
        assert (wrong.status_code, wrong.json()["code"]) == (401, "authentication_failed")

    def test_guessing_is_throttled(self, person: User) -> None:
        answers = [self.login("guess").status_code for _ in range(21)]
        assert (set(answers[:20]), answers[20]) == ({401}, 429)

    def test_a_closed_account_is_out_at_once(self, person: User) -> None:
        token = self.login().json()["token"]
        User.objects.filter(pk=person.pk).update(is_active=False)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        assert client.get("/api/v1/me/").status_code == 401

    def test_a_key_is_registered_with_its_proof(self, person: User) -> None:
        key = Ed25519PrivateKey.generate()
        client = client_of(person)
        body = {
            "name": "laptop",
            "public_key": key.public_key().public_bytes_raw().hex(),
            "proof": key.sign(registration_message(person.member_id)).hex(),
        }
        assert client.post("/api/v1/me/keys/", body, format="json").status_code == 201
        registered = client.get("/api/v1/me/keys/").json()
        assert [found["name"] for found in registered["results"]] == ["laptop"]
        again = client.post("/api/v1/me/keys/", body, format="json")
        assert (again.status_code, again.json()["fields"].keys()) == (400, {"public_key"})


class TestErrors:
    """Every error has a code and a sentence, whoever raised it."""

    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "code"),
        [
            ("get", "studies/st-none/", None, 404, "not_found"),
            ("get", "people/", None, 403, "role_missing"),
            ("put", "me/", {}, 405, "method_not_allowed"),
            ("post", "studies/", {"plan": 3}, 400, "invalid"),
            ("post", "studies/", {"plan": {}}, 400, "plan_invalid"),
        ],
    )
    def test_each_says_what_is_wrong(
        self, house: House, method: str, path: str, body: Any, status: int, code: str
    ) -> None:
        answer = getattr(client_of(house.pi), method)(f"/api/v1/{path}", body, format="json")
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.json()["sentence"].endswith(".")

    def test_broken_json_is_explained(self, house: House) -> None:
        answer = client_of(house.pi).post("/api/v1/studies/", "{", content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")

    def test_fields_are_named_however_deep(self, house: House) -> None:
        operator = client_of(house.people["m-pete"])
        answer = operator.post("/api/v1/people/", {"roles": ["emperor"]}, format="json").json()
        assert {"username", "email", "roles[0]"} <= answer["fields"].keys()

    def test_strangers_are_told_to_sign_in(self, db: None) -> None:
        answer = APIClient().get("/api/v1/me/")
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Token")
        assert answer.json()["code"] == "not_authenticated"


class TestAuditLog:
    def publish(self, house: House) -> None:
        log.publish_checkpoint(
            key=house.consortium.log_key, origin=house.consortium.roster.portal.log_origin
        )

    def test_entries_are_filtered_and_paged(self, house: House, auditor: User) -> None:
        house.approved_study()
        client = client_of(auditor)
        reviews = client.get("/api/v1/audit/entries/?event=study.review_signed").json()
        assert {entry["actor"] for entry in reviews["results"]} == {"m-ruth", "m-carl"}
        page = client.get("/api/v1/audit/entries/?limit=2&offset=1").json()
        assert [entry["index"] for entry in page["results"]] == [log.size() - 2, log.size() - 3]
        wrong = client.get("/api/v1/audit/entries/?since=yesterday")
        assert (wrong.status_code, wrong.json()["fields"].keys()) == (400, {"since"})

    def test_an_entry_comes_with_a_receipt_that_verifies(self, house: House, auditor: User) -> None:
        client = client_of(auditor)
        assert client.get("/api/v1/audit/entries/0/").json()["receipt"] is None
        assert client.get("/api/v1/audit/checkpoint/").status_code == 404
        self.publish(house)
        entry = client.get("/api/v1/audit/entries/0/").json()
        Receipt.parse(entry["receipt"]).verify(
            entry["leaf"].encode(), log=house.consortium.roster.log_key, witnesses=(), quorum=0
        )
        head = client.get("/api/v1/audit/checkpoint/").json()
        assert (head["size"], head["cosigned"]) == (log.size(), False)
        assert client.get("/api/v1/audit/entries/99999/").status_code == 404

    def test_the_log_is_verified_and_exported(self, house: House, auditor: User) -> None:
        self.publish(house)
        client = client_of(auditor)
        report = client.post("/api/v1/audit/verify/").json()
        assert (report["intact"], report["size"]) == (True, log.size())
        export = client.get("/api/v1/audit/export/")
        lines = b"".join(export.streaming_content).splitlines()
        assert json.loads(lines[0])["entries"] == log.size()
        assert len(lines) == 2 + log.size()


@pytest.mark.django_db
def test_health_is_public() -> None:
    assert APIClient().get("/api/v1/health/").json() == {"status": "ok"}


def test_the_api_describes_itself_without_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "schema.yml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    assert "/api/v1/studies/{identifier}/submit/" in file.read_text()


@pytest.mark.django_db
class TestCommands:
    def operator(self, **options: Any) -> None:
        call_command(
            "create_operator",
            "pete",
            email="pete@alder.example",
            first_name="Pete",
            last_name="Alder",
            organisation="alder-hospital",
            **options,
        )

    def test_the_first_operator(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QUORATE_OPERATOR_PASSWORD", PASSWORD)
        self.operator()
        pete = User.objects.get()
        assert pete.check_password(PASSWORD)
        assert [membership.role for membership in pete.memberships.all()] == ["portal_operator"]
        with pytest.raises(CommandError, match="in use"):
            self.operator()

    def test_a_weak_password_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QUORATE_OPERATOR_PASSWORD", "short")
        with pytest.raises(CommandError, match="12 characters"):
            self.operator()

    def test_a_roster_is_published_from_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "roster.json"
        file.write_text(json.dumps(Consortium().roster_envelope.to_json()))
        call_command("publish_roster", str(file))
        assert RosterVersion.objects.get().digest == Consortium().pinned
        with pytest.raises(CommandError, match="already"):
            call_command("publish_roster", str(file))
        file.write_text("{}")
        with pytest.raises(CommandError, match="cannot be read"):
            call_command("publish_roster", str(file))


class TestDocumentation:
    def test_the_documentation_page_is_served(self, house: House) -> None:
        browser = Client()
        browser.force_login(house.pi)
        page = browser.get("/api/docs/")
        assert page.status_code == 200
        assert b"swagger" in page.content

    def test_json_nested_too_deep_is_a_malformed_request(self, house: House) -> None:
        answer = client_of(house.pi).post(
            "/api/v1/studies/", "[" * 20_000, content_type="application/json"
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
