"""What a person's Ed25519 key signs to be registered: the same for portal and `quorate-sign`."""


def registration_message(member_id: str) -> bytes:
    """Return the bytes whose signature proves that `member_id` holds the key.

    *Security*: the first line is of this purpose alone, so the signature proves nothing elsewhere.
    """
    return f"quorate/key-registration/v1\n{member_id}".encode()
