"""A person at the portal's REST API: signs in, reads, decides with an Ed25519 key of their own."""

import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from accounts.key_registration import registration_message
from demo.people import PASSWORD, Person
from governance.statements.envelope import Envelope, add_ed25519


class Refused(Exception):  # noqa: N818  (it is what the portal said, not a fault of ours)
    """The portal refused; `code` and the message are its own words."""

    def __init__(self, status: int, answer: Any) -> None:
        self.status = status
        self.answer = answer
        self.code = answer.get("code", "") if isinstance(answer, dict) else ""
        said = answer.get("sentence", answer) if isinstance(answer, dict) else answer
        super().__init__(f"{status}: {said}")


@dataclass
class Client:
    """One signed-in person. `key_file` is made at first use and never leaves its folder."""

    url: str
    person: Person
    key_file: Path
    password: str = PASSWORD
    _token: str = field(default="", repr=False)

    @property
    def private_key(self) -> Ed25519PrivateKey:
        """Return the person's signing key; make it when there is none."""
        if not self.key_file.exists():
            self.key_file.parent.mkdir(parents=True, exist_ok=True)
            pem = Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            )
            with os.fdopen(os.open(self.key_file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(pem)
        key = load_pem_private_key(self.key_file.read_bytes(), password=None)
        assert isinstance(key, Ed25519PrivateKey)
        return key

    def sign_in(self) -> "Client":
        """Sign in, unless that is done, and return the client."""
        if self._token:
            return self
        answer = self.post("login/", {"username": self.person.username, "password": self.password})
        self._token = answer["token"]
        return self

    def register_key(self, member_id: str) -> None:
        """Make the person's public key known to the portal; it counts once a roster lists it."""
        key = self.private_key
        public = key.public_key().public_bytes_raw().hex()
        if any(public == known["document"].get("public_key") for known in self.listed("me/keys/")):
            return
        proof = key.sign(registration_message(member_id)).hex()
        self.post("me/keys/", {"name": "Demo key", "public_key": public, "proof": proof})

    def decide(self, request_path: str, answer_path: str, **asked: str) -> Any:
        """Ask the portal for a statement, sign exactly it, and send the envelope back."""
        request = self.post(request_path, asked)
        envelope = add_ed25519(Envelope.parse(request["unsigned"]), self.private_key)
        return self.post(answer_path, {"envelope": envelope.to_json()})

    def get(self, path: str) -> Any:
        """Return what the API says at `path` (below /api/v1/)."""
        return self._call("GET", path, None)

    def download(self, path: str) -> bytes:
        """Return the file that the API gives out at `path`."""
        return self._send("GET", path, None)

    def listed(self, path: str) -> list[Any]:
        """Return every row of the paged list at `path`."""
        rows: list[Any] = []
        mark = "&" if "?" in path else "?"
        while True:
            page = self.get(f"{path}{mark}limit=100&offset={len(rows)}")
            rows += page["results"]
            if len(rows) >= page["count"]:
                return rows

    def post(self, path: str, body: Any = None) -> Any:
        """Send `body` to `path` and return the answer; raise `Refused` with the portal's words."""
        return self._call("POST", path, {} if body is None else body)

    def _call(self, method: str, path: str, body: Any) -> Any:
        text = self._send(method, path, body)
        return json.loads(text) if text else None

    def _send(self, method: str, path: str, body: Any) -> bytes:
        request = urllib.request.Request(  # noqa: S310  (the address is the house's own)
            f"{self.url}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        if self._token:
            request.add_header("Authorization", f"Token {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                said = json.loads(text)
            except ValueError:
                said = text[:300].decode(errors="replace")
            raise Refused(error.code, said) from None
