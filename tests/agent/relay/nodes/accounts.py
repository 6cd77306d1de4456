"""Operators, accounts and users of NATS, as `nsc` makes them: keys, the JWT of each, and a user's credentials file."""

from __future__ import annotations

import base64
import binascii
import json
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KINDS = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
UNBOUNDED = {"subs": -1, "data": -1, "payload": -1}
OF_ACCOUNTS = {"imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}


def base32(data):
    return base64.b32encode(data + binascii.crc_hqx(data, 0).to_bytes(2, "little")).decode().rstrip("=")


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Party:
    """Somebody with a key, who can sign what another one is."""

    def __init__(self, kind):
        self.kind, code = kind, KINDS[kind]
        self._key = Ed25519PrivateKey.generate()
        self.public = base32(bytes((code,)) + self._key.public_key().public_bytes_raw())
        self.seed = base32(bytes((18 << 3 | code >> 5, (code & 31) << 3)) + self._key.private_bytes_raw())

    def vouch_for(self, other, *, ends_s=0, **nats):
        claims = {"jti": other.public, "iat": int(time.time()), "iss": self.public, "sub": other.public, "name": "it"}
        claims |= {"nats": nats | {"type": other.kind, "version": 2}} | ({"exp": ends_s} if ends_s else {})
        said = [base64url(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)]
        return ".".join((*said, base64url(self._key.sign(".".join(said).encode()))))


class User(Party):
    def __init__(self):
        super().__init__("user")

    def credentials(self, account, *, ends_s=0):
        """Return the text of the .creds file; the user may do what a node needs, and nothing else."""
        subjects = {"allow": ["provisioning-relay.>"]}
        jwt = account.vouch_for(self, ends_s=ends_s, pub=subjects, sub=subjects, **UNBOUNDED)
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\n"
            f"-----BEGIN USER NKEY SEED-----\n{self.seed}\n------END USER NKEY SEED------\n"
        )


def operator_mode(account):
    """Return the lines of a server's configuration that knows one operator and one account of it, and no users."""
    operator = Party("operator")
    known = operator.vouch_for(account, limits=UNBOUNDED | OF_ACCOUNTS, default_permissions={"pub": {}, "sub": {}})
    return (
        f"operator: {operator.vouch_for(operator)}\nresolver: MEMORY\nresolver_preload: {{ {account.public}: {known} }}"
    )
