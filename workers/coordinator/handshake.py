"""Who is at the other end of a control connection: a challenge, and the site's signed answer."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import transaction
from django.utils import timezone

from accounts.models import Site
from audit import log
from governance.errors import StatementError
from governance.statements.envelope import Envelope, verify
from governance.statements.keys import Key
from governance.statements.registers import DataSetRegister
from workers.coordinator.models import Witness
from workers.transport.control import Message, hello_bytes

logger = logging.getLogger(__name__)

# How old `last_seen_at` may grow before a heartbeat writes it again.
SEEN_WITHIN = timedelta(seconds=10)


class HelloError(Exception):
    """The agent could not show that it is the site it names; 4401."""


@dataclass(frozen=True)
class Hello:
    """A `hello` message, and the challenge that it answers."""

    message: Message
    portal: str
    nonce: str


def admit(hello: Hello) -> Site:
    """Return the site that has signed `hello`; keep its register and what it has witnessed.

    *Security*: the signature is over this portal's address and this connection's nonce, by the
    identity key with which the site enrolled. Unknown sites and wrong signatures are refused
    alike.
    *Raises* HelloError.
    """
    slug = hello.message["site"]
    site = Site.objects.exclude(identity_key="").filter(slug=slug).first()
    signed = hello_bytes(portal=hello.portal, nonce=hello.nonce, site=slug)
    if site is None or not _is_signed(site, signed, hello.message["signature"]):
        raise HelloError(f"{slug} is not enrolled here, or another key signed: enrol the agent")
    register = _register(site, hello.message["register"])
    witnessed = hello.message["checkpoint"] or {"size": 0, "root": ""}
    if witnessed["size"] > log.size():
        logger.error(
            "%s has cosigned %d entries, this log has %d: was an old backup restored?",
            slug,
            witnessed["size"],
            log.size(),
        )
    with transaction.atomic():
        site.data_sets = register.to_json()["data_sets"]
        site.last_seen_at = timezone.now()
        site.save(update_fields=["data_sets", "last_seen_at"])
        held = {"entries": hello.message["entries"], "refusal": ""}
        Witness.objects.update_or_create(site=site, defaults={**witnessed, **held})
    return site


def still_there(site: Site) -> None:
    """Note that the site's agent has been heard of."""
    now = timezone.now()
    if site.last_seen_at is None or now - site.last_seen_at > SEEN_WITHIN:
        site.last_seen_at = now
        site.save(update_fields=["last_seen_at"])


def _is_signed(site: Site, message: bytes, signature: str) -> bool:
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(site.identity_key))
    try:
        key.verify(bytes.fromhex(signature), message)
    except InvalidSignature:
        return False
    return True


def _register(site: Site, envelope: object) -> DataSetRegister:
    """Return the site's data-set register, once its identity has signed it."""
    try:
        signed = Envelope.parse(envelope)
        register = DataSetRegister.of(signed)
        verify(signed, Key.ed25519(bytes.fromhex(site.identity_key)))
    except StatementError as error:
        raise HelloError(f"the data-set register of {site}: {error.sentence}") from None
    if register.site != site.slug:
        raise HelloError(f"the data-set register is not that of {site}")
    return register
