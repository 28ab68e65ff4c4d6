"""People, roles, sites and keys: who may change them, and what the log keeps of it."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accounts import actions, keys
from accounts.errors import ActionRefusedError, InvalidFieldsError, NotPermittedError
from accounts.key_registration import registration_message
from accounts.models import Organisation, SigningKey, Site, User
from accounts.permissions import has_permission
from audit import log
from tests.factories import portal
from workers.transport.control import enrolment_bytes

pytestmark = pytest.mark.django_db
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw().hex()


def last() -> Any:
    return log.entry(log.size() - 1)


@pytest.fixture
def operator() -> User:
    return portal.person("olive", ["portal_operator"])


@pytest.fixture
def investigator() -> User:
    return portal.person("ines", ["pi"])


def new_person(by: User | None, **changes: Any) -> User:
    fields: dict[str, Any] = {
        "username": "nora",
        "first_name": "Nora",
        "last_name": "Birch",
        "email": "nora@birch.example",
        "organisation": portal.organisation("birch"),
        "roles": ["reviewer"],
        "password": "correct horse battery",
    }
    return actions.create_person(**{**fields, **changes}, by=by)


def test_an_operator_invites_a_person(operator: User) -> None:
    nora = new_person(operator)
    assert nora.check_password("correct horse battery")
    assert has_permission(nora, "study.review")
    assert (last().event, last().actor) == ("person.created", "m-olive")
    assert last().data == {"organisation": "birch-hospital", "roles": ["reviewer"]}
    assert "nora" not in last().leaf.decode(), "the log holds identifiers, never names"


def test_nobody_else_does(investigator: User) -> None:
    with pytest.raises(NotPermittedError):
        new_person(investigator)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": "ines"}, "username"),
        ({"password": "short"}, "password"),
        ({"password": "nora@birch.example"}, "password"),
        ({"email": "not an address"}, "email"),
        ({"roles": ["emperor"]}, "role"),
        ({"member_id": "m-ines"}, "member_id"),
    ],
)
def test_what_is_wrong_is_named(
    operator: User, investigator: User, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidFieldsError) as raised:
        new_person(operator, **changes)
    assert field in raised.value.fields
    assert not User.objects.filter(username="nora").exists()


def test_a_portal_operator_holds_no_other_role(operator: User, investigator: User) -> None:
    with pytest.raises(ActionRefusedError, match="neither decide nor read results"):
        actions.grant_role(user=investigator, role="portal_operator", by=operator)
    with pytest.raises(ActionRefusedError, match="neither decide nor read results"):
        new_person(operator, roles=["portal_operator", "auditor"])


def test_nobody_changes_their_own_roles_or_closes_their_own_account(operator: User) -> None:
    with pytest.raises(NotPermittedError, match="own roles"):
        actions.grant_role(user=operator, role="auditor", by=operator)
    with pytest.raises(NotPermittedError, match="own account"):
        actions.deactivate_person(user=operator, by=operator)


def test_roles_come_and_go_and_the_log_says_so_once(operator: User, investigator: User) -> None:
    actions.grant_role(user=investigator, role="auditor", by=operator)
    assert has_permission(investigator, "audit.view")
    assert (last().event, last().data) == ("role.granted", {"role": "auditor"})
    size = log.size()
    actions.grant_role(user=investigator, role="auditor", by=operator)
    assert log.size() == size
    actions.remove_role(user=investigator, role="auditor", by=operator)
    assert not has_permission(User.objects.get(pk=investigator.pk), "audit.view")
    assert last().event == "role.removed"


def test_a_closed_account_has_no_permission(operator: User, investigator: User) -> None:
    actions.deactivate_person(user=investigator, by=operator)
    assert not has_permission(User.objects.get(pk=investigator.pk), "home")
    assert last().event == "person.deactivated"


def enrol(token: str, slug: str = "alder", key: Ed25519PrivateKey = KEY) -> Site:
    proof = key.sign(enrolment_bytes(site=slug, token=token)).hex()
    public = key.public_key().public_bytes_raw().hex()
    return actions.enrol_site(slug=slug, token=token, identity_key=public, proof=proof)


def test_a_site_enrols_once_with_its_token(operator: User) -> None:
    site, token = actions.create_site(organisation=portal.organisation(), slug="alder", by=operator)
    assert token not in str(Site.objects.values().get()), "only the token's digest is kept"
    assert enrol(token).identity_key == PUBLIC
    assert (last().event, last().data["identity_key"]) == ("site.enrolled", PUBLIC)
    with pytest.raises(NotPermittedError, match="has been used"):
        enrol(token)
    site.refresh_from_db()
    assert site.enrolled_at is not None


def test_a_wrong_token_and_an_unknown_site_look_alike(operator: User) -> None:
    actions.create_site(organisation=portal.organisation(), slug="alder", by=operator)
    said = set()
    for slug in ("alder", "nowhere"):
        with pytest.raises(NotPermittedError) as raised:
            enrol("guess", slug)
        said.add((raised.value.code, raised.value.sentence))
    assert len(said) == 1


def test_an_enrolment_proves_the_key_for_this_site_and_token(operator: User) -> None:
    _, token = actions.create_site(organisation=portal.organisation(), slug="alder", by=operator)
    proof = KEY.sign(enrolment_bytes(site="birch", token=token)).hex()
    with pytest.raises(InvalidFieldsError, match="possession"):
        actions.enrol_site(slug="alder", token=token, identity_key=PUBLIC, proof=proof)
    assert not Site.objects.get().identity_key


def document(member: str) -> dict[str, Any]:
    message = registration_message(member)
    return keys.ed25519_document(PUBLIC, KEY.sign(message).hex(), message=message)


def test_a_person_registers_their_own_key_once(investigator: User, operator: User) -> None:
    key = actions.register_signing_key(
        user=investigator, document=document("m-ines"), name="laptop", by=investigator
    )
    assert key.key_id.startswith("ed25519:")
    assert (last().event, last().data["key_id"]) == ("key.registered", key.key_id)
    with pytest.raises(InvalidFieldsError, match="already"):
        actions.register_signing_key(
            user=operator, document=document("m-olive"), name="stolen", by=operator
        )
    with pytest.raises(NotPermittedError):
        actions.register_signing_key(
            user=investigator, document=document("m-ines"), name="planted", by=operator
        )


def test_a_proof_made_for_someone_else_is_none(investigator: User) -> None:
    proof = KEY.sign(registration_message("m-olive")).hex()
    with pytest.raises(InvalidFieldsError, match="possession"):
        keys.ed25519_document(PUBLIC, proof, message=registration_message("m-ines"))


def test_a_passkey_registration_is_for_its_person_and_not_for_ever(
    investigator: User, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, state = keys.begin_passkey(investigator)
    assert options["rp"]["id"] == "localhost"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    with pytest.raises(InvalidFieldsError, match="someone else"):
        keys.finish_passkey(operator, {}, state)
    with pytest.raises(InvalidFieldsError, match="not accepted"):
        keys.finish_passkey(investigator, {"id": "AA", "rawId": "AA"}, state)
    monkeypatch.setattr(keys, "_CEREMONY_SECONDS", -1)
    with pytest.raises(InvalidFieldsError, match="too old"):
        keys.finish_passkey(investigator, {}, state)


def test_when_the_log_fails_nothing_has_changed(
    operator: User, investigator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = actions.create_site(organisation=portal.organisation(), slug="alder", by=operator)
    birch = portal.organisation("birch")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the log is down")

    def everything() -> list[Any]:
        models: tuple[Any, ...] = (Organisation, Site, User, SigningKey)
        roles = list(investigator.memberships.values_list("role", flat=True))
        return [list(model.objects.order_by("pk").values()) for model in models] + [roles]

    monkeypatch.setattr(log, "append", fail)
    before = everything()
    attempts: list[Callable[[], Any]] = [
        lambda: actions.create_organisation(slug="dale", name="Dale", by=operator),
        lambda: actions.create_site(organisation=birch, slug="birch", by=operator),
        lambda: enrol(token),
        lambda: new_person(operator),
        lambda: actions.grant_role(user=investigator, role="auditor", by=operator),
        lambda: actions.remove_role(user=investigator, role="pi", by=operator),
        lambda: actions.deactivate_person(user=investigator, by=operator),
        lambda: actions.register_signing_key(
            user=investigator, document=document("m-ines"), name="laptop", by=investigator
        ),
    ]
    for attempt in attempts:
        with pytest.raises(RuntimeError, match="the log is down"):
            attempt()
    assert everything() == before
