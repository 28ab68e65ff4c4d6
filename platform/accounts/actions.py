"""Every change of organisations, sites, people, roles and keys: one transaction, one log entry.

`by` is the person who acts; None stands for whoever holds the server's console.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import keys, policies
from accounts.errors import ActionRefusedError, InvalidFieldsError, NotPermittedError
from accounts.models import Membership, Organisation, SigningKey, Site, User
from accounts.roles import Role
from audit import log
from workers.transport.control import enrolment_bytes

CONSOLE = "console"
"""The actor of what is done with a management command."""

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def actor_name(by: User | None) -> str:
    """Return what the audit log calls the acting person."""
    return CONSOLE if by is None else by.member_id


@transaction.atomic
def create_organisation(*, slug: str, name: str, by: User | None) -> Organisation:
    """Return a new organisation."""
    policies.check_can_manage_people(by)
    _check_slug(slug)
    _check_unused(Organisation.objects.filter(slug=slug).exists(), "slug", slug)
    organisation = Organisation.objects.create(slug=slug, name=name)
    log.append(
        "organisation.created", actor=actor_name(by), subject=f"organisation:{slug}", data={}
    )
    return organisation


@transaction.atomic
def create_site(*, organisation: Organisation, slug: str, by: User | None) -> tuple[Site, str]:
    """Return a new site and the one-time token with which its agent enrols.

    *Security*: the portal keeps the token's digest only; it is shown once.
    """
    policies.check_can_manage_people(by)
    _check_slug(slug)
    _check_unused(Site.objects.filter(slug=slug).exists(), "slug", slug)
    if Site.objects.filter(organisation=organisation).exists():
        raise ActionRefusedError("site_exists", f"{organisation} already has a site.")
    token = secrets.token_hex(24)
    site = Site.objects.create(
        slug=slug, organisation=organisation, enrolment_token_digest=_token_digest(token)
    )
    log.append(
        "site.created",
        actor=actor_name(by),
        subject=f"site:{slug}",
        data={"organisation": organisation.slug},
    )
    return site, token


@transaction.atomic
def enrol_site(*, slug: str, token: str, identity_key: str, proof: str) -> Site:
    """Return the site whose agent has shown its one-time token and proved its identity key.

    *Raises* NotPermittedError, alike for an unknown site and for a wrong or used token;
    InvalidFieldsError for a key without its proof.
    """
    site = Site.objects.select_for_update().filter(slug=slug).first()
    expected = site.enrolment_token_digest if site else ""
    if not hmac.compare_digest(expected or "-", _token_digest(token)) or site is None:
        raise NotPermittedError(
            "enrolment_refused",
            "This site and token do not go together, or the token has been used."
            " Ask the portal operator for a new token.",
        )
    document = keys.ed25519_document(
        identity_key, proof, message=enrolment_bytes(site=slug, token=token)
    )
    site.identity_key = document["public_key"]
    site.enrolment_token_digest = ""
    site.enrolled_at = timezone.now()
    site.save()
    log.append(
        "site.enrolled",
        actor=f"site:{slug}",
        subject=f"site:{slug}",
        data={"identity_key": site.identity_key},
    )
    return site


@transaction.atomic
def create_person(
    *,
    username: str,
    first_name: str,
    last_name: str,
    email: str,
    organisation: Organisation,
    roles: Iterable[str],
    password: str | None,
    by: User | None,
    member_id: str | None = None,
) -> User:
    """Return a new person with `roles`; without a password they cannot log in yet.

    `member_id` is drawn here unless the person comes from a directory that has drawn one.
    *Raises* InvalidFieldsError for a name in use or a weak password; ActionRefusedError for roles
    that do not go together.
    """
    policies.check_can_manage_people(by)
    _check_unused(User.objects.filter(username=username).exists(), "username", username)
    user = User(
        username=username,
        first_name=first_name,
        last_name=last_name,
        email=email,
        organisation=organisation,
        member_id=member_id or f"m-{secrets.token_hex(4)}",
    )
    _check_unused(
        User.objects.filter(member_id=user.member_id).exists(), "member_id", user.member_id
    )
    _set_password(user, password)
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        raise InvalidFieldsError(
            {field: " ".join(found) for field, found in error.message_dict.items()}
        ) from None
    user.save()
    granted = [_parse_role(role) for role in roles]
    for role in granted:
        policies.check_can_hold(user, role)
        Membership.objects.create(user=user, role=role)
    log.append(
        "person.created",
        actor=actor_name(by),
        subject=f"person:{user.member_id}",
        data={"organisation": organisation.slug, "roles": [str(role) for role in granted]},
    )
    return user


@transaction.atomic
def grant_role(*, user: User, role: str, by: User | None) -> Membership:
    """Return the person's membership in `role`, new or already there."""
    parsed = _parse_role(role)
    policies.check_can_grant(user, parsed, by)
    membership, created = Membership.objects.get_or_create(user=user, role=parsed)
    if created:
        _log_person("role.granted", user, by, {"role": str(parsed)})
    return membership


@transaction.atomic
def remove_role(*, user: User, role: str, by: User | None) -> None:
    """Take `role` from the person; signatures stop to count when the roster says so too."""
    policies.check_can_manage_people(by)
    removed, _ = Membership.objects.filter(user=user, role=_parse_role(role)).delete()
    if removed:
        _log_person("role.removed", user, by, {"role": role})


@transaction.atomic
def deactivate_person(*, user: User, by: User | None) -> None:
    """Close the account: the person can no longer log in; what they signed stays."""
    policies.check_can_deactivate(user, by)
    user.is_active = False
    user.save(update_fields=["is_active"])
    _log_person("person.deactivated", user, by, {})


@transaction.atomic
def register_signing_key(
    *, user: User, document: Mapping[str, Any], name: str, by: User
) -> SigningKey:
    """Return the person's new key; it counts once a roster lists it.

    `document` comes from `accounts.keys`, which has checked that its sender holds the key.
    *Raises* NotPermittedError unless people register their own keys; InvalidFieldsError for one in
    use.
    """
    if by.pk != user.pk:
        raise NotPermittedError("not_own_key", "People register their own keys only.")
    try:
        with transaction.atomic():
            key = SigningKey.objects.create(
                user=user,
                kind=document["kind"],
                key_id=document["id"],
                document=dict(document),
                name=name,
            )
    except IntegrityError:
        raise InvalidFieldsError(
            {"public_key": "This key is registered already. Make a new one."}
        ) from None
    _log_person("key.registered", user, by, {"key_id": key.key_id})
    return key


def _log_person(event: str, user: User, by: User | None, data: dict[str, Any]) -> None:
    log.append(event, actor=actor_name(by), subject=f"person:{user.member_id}", data=data)


def _set_password(user: User, password: str | None) -> None:
    if password is None:
        user.set_unusable_password()
        return
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidFieldsError({"password": " ".join(error.messages)}) from None
    user.set_password(password)


def _parse_role(role: str) -> Role:
    try:
        return Role(role)
    except ValueError:
        raise InvalidFieldsError(
            {"role": f"Expected one of {', '.join(Role.values)}, got {role!r}."}
        ) from None


def _check_slug(slug: str) -> None:
    if not _SLUG.fullmatch(slug) or len(slug) > 50:
        raise InvalidFieldsError(
            {"slug": "Expected lower-case letters, digits and single hyphens, at most 50."}
        )


def _check_unused(used: bool, field: str, value: str) -> None:
    if used:
        raise InvalidFieldsError({field: f"{value!r} is in use already."})


def _token_digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
