"""A site's folder: who the site is, whom it believes, what it permits, where its data lie.

    identity.pem     Ed25519 private key (PKCS8, mode 0600): signs whatever the site says
    site.json        {"site", "portal_url", "ca_file", "broker", "pinned_roster",
                      "publish_policy"}
    policy.cedar     what this site permits, whatever the portal's committee permits
    data_sets.json   where each registered data set lies; never leaves the site
    register.json    the signed data-set register; carries names, kinds and budgets, no paths
    store.sqlite3    attempts, ledger, witness, journal
    broker/          the folder of the site's own Celery broker, and its private temporary folder

Nothing that the portal sends changes a file here.
"""

from __future__ import annotations

import ssl
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from governance.site_policy import PolicyError, SitePolicy
from workers.party.documents import check_document, read_document, write_document, write_private
from workers.party.errors import HomeError
from workers.party.policy import Choices
from workers.party.store import Store

FILESYSTEM_BROKER = "filesystem"
_SITE_SCHEMA = {
    "type": "object",
    "properties": {
        "site": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"},
        "portal_url": {"type": "string", "pattern": "^https?://[^/\\s]+$"},
        "ca_file": {"type": ["string", "null"]},
        "broker": {"type": "string", "pattern": "^(filesystem|rediss?(\\+socket)?://.+)$"},
        "pinned_roster": {"anyOf": [{"type": "null"}, {"pattern": "^[0-9a-f]{64}$"}]},
        "publish_policy": {"type": "boolean"},
    },
    "required": ["site", "portal_url", "ca_file", "broker", "pinned_roster"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Configuration:
    """What `site.json` says. `pinned_roster` is the digest of the roster's first version.

    With `publish_policy` the portal may show what this site's policy would answer.
    """

    site: str
    portal_url: str
    ca_file: str | None = None
    broker: str = FILESYSTEM_BROKER
    pinned_roster: str | None = None
    publish_policy: bool = False


@dataclass(frozen=True)
class SiteHome:
    """The folder of one site."""

    path: Path

    @classmethod
    def create(cls, path: Path, configuration: Configuration) -> SiteHome:
        """Make the folder, a fresh identity, the default policy and an empty store.

        *Raises* HomeError when there is an identity already: it is never overwritten.
        """
        home = cls(path)
        if home.identity_path.exists():
            raise HomeError(f"{home.identity_path} exists: this folder belongs to a site already")
        check_document(asdict(configuration), _SITE_SCHEMA, "the site's configuration")
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
        write_private(home.identity_path, _to_pem(Ed25519PrivateKey.generate()))
        home.write_configuration(configuration)
        home.write_policy(Choices().to_cedar())
        home.store.create()
        return home

    @property
    def identity_path(self) -> Path:
        """Where the site's private key lies."""
        return self.path / "identity.pem"

    @property
    def policy_path(self) -> Path:
        """Where the site's own policy lies."""
        return self.path / "policy.cedar"

    @property
    def data_sets_path(self) -> Path:
        """Where the locations of the data sets are written down."""
        return self.path / "data_sets.json"

    @property
    def register_path(self) -> Path:
        """Where the signed data-set register lies."""
        return self.path / "register.json"

    @property
    def broker_path(self) -> Path:
        """The folder of the site's own Celery broker, where it is the file system."""
        return self.path / "broker"

    @cached_property
    def store(self) -> Store:
        """The site's store."""
        return Store(self.path / "store.sqlite3")

    @property
    def configuration(self) -> Configuration:
        """Read `site.json`. *Raises* HomeError."""
        document = read_document(self.path / "site.json")
        check_document(document, _SITE_SCHEMA, "site.json")
        return Configuration(**document)

    def write_configuration(self, configuration: Configuration) -> None:
        """Write `site.json`. *Raises* HomeError when the configuration is malformed."""
        check_document(asdict(configuration), _SITE_SCHEMA, "the site's configuration")
        write_document(self.path / "site.json", asdict(configuration))

    @property
    def policy(self) -> SitePolicy:
        """Read `policy.cedar` anew: a steward's change counts from the next message on.

        *Raises* HomeError when it is missing or no policy: then nothing is permitted.
        """
        try:
            return SitePolicy(self.policy_path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise HomeError(f"{self.policy_path} cannot be read: {error}") from None
        except PolicyError as error:
            raise HomeError(f"{self.policy_path}: {error}") from None

    def write_policy(self, text: str) -> SitePolicy:
        """Write `policy.cedar` and return it. *Raises* HomeError when `text` is no policy."""
        try:
            policy = SitePolicy(text)
        except PolicyError as error:
            raise HomeError(f"this is no policy: {error}") from None
        write_private(self.policy_path, text.encode())
        return policy

    @property
    def identity(self) -> Ed25519PrivateKey:
        """Read the site's private key. *Raises* HomeError when others could have read it."""
        if not self.identity_path.exists():
            raise HomeError(f"{self.identity_path} is missing: run 'site-agent init'")
        if self.identity_path.stat().st_mode & 0o077:
            raise HomeError(f"{self.identity_path} is open to others: chmod 600 it")
        key = load_pem_private_key(self.identity_path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise HomeError(f"{self.identity_path} is not an Ed25519 key")
        return key

    @property
    def identity_public_hex(self) -> str:
        """The public half of the site's identity."""
        return self.identity.public_key().public_bytes_raw().hex()

    def websocket_url(self, path: str) -> str:
        """Return the portal's websocket address of `path`."""
        parts = urlsplit(self.configuration.portal_url)
        return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{path}"

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return how to verify the portal's certificate; None where the portal has no TLS.

        With `ca_file`, that private authority is believed and no other.
        """
        configuration = self.configuration
        if urlsplit(configuration.portal_url).scheme != "https":
            return None
        return ssl.create_default_context(cafile=configuration.ca_file)


def _to_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
