"""Who may read: passwords against bcrypt hashes, so that guessing costs the guesser and nobody else.

bcrypt is slow on purpose, so what it once said is remembered, and there is one thread for it: however many guesses
come in, scrapes with a known password do not wait and at most one core works on the others.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

import bcrypt
from werkzeug.datastructures import Authorization

# Of right credentials, and of wrong ones: far more than a site has users.
_REMEMBERED = 1024
# At some 50 ms to 0.3 s of bcrypt each, as its cost is set: who waits is judged within seconds, not minutes.
_WAITING = 32
# A browser asks for a page's parts at once; more from one address are guesses, and leave room for others.
_WAITING_PER_CLIENT = 4
_BCRYPT_BYTES = 72  # more are not looked at, by bcrypt's definition
_MAX_PASSWORD_BYTES = 4096  # every guess is hashed to be looked up, so its length is bounded


class Verdict(Enum):
    """BUSY: not judged, since too many guesses are waiting already."""

    IN = "in"
    OUT = "out"
    BUSY = "busy"


class BasicAuth:
    """Judges Authorization headers. For one event loop."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        # By a keyed hash, so that memory holds no password and looking one up gives nothing away by its time.
        # Two of them: a flood of wrong passwords must not push the right ones out.
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._judging: dict[bytes, asyncio.Task[bool]] = {}
        self._waiting: Counter[str] = Counter()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bcrypt")

    async def judge(self, header: str, users: Mapping[str, str], client: str) -> Verdict:
        """header: the Authorization header, "" for none; users: bcrypt hashes by name; client: its address."""
        # werkzeug fails on base64 that is not ASCII.
        given = Authorization.from_header(header) if header.isascii() else None
        if given is None or given.type != "basic" or given.username is None or given.password is None:
            return Verdict.OUT
        password = given.password.encode()
        if len(password) > _MAX_PASSWORD_BYTES:
            return Verdict.OUT
        known = given.username in users
        # An unknown user costs what a known one does: a hash is checked all the same.
        hashed = users[given.username] if known else max(users.values(), key=lambda value: value[4:6])
        credential = self._digest(given.username.encode(), password, hashed.encode())
        if credential in self._right:
            self._right.move_to_end(credential)
            return Verdict.IN
        if credential in self._wrong:
            return Verdict.OUT
        if credential not in self._judging:
            if self._waiting.total() >= _WAITING or self._waiting[client] >= _WAITING_PER_CLIENT:
                return Verdict.BUSY
            self._waiting[client] += 1  # here, since the task begins only once this one pauses
            verify = self._verify(credential, password, hashed, client, known=known)
            self._judging[credential] = asyncio.create_task(verify)
        return Verdict.IN if await asyncio.shield(self._judging[credential]) else Verdict.OUT

    async def _verify(self, credential: bytes, password: bytes, hashed: str, client: str, *, known: bool) -> bool:
        try:
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(self._thread, _matches, password, hashed) and known
            _remember(self._right if right else self._wrong, credential)
            return right
        finally:
            del self._judging[credential]
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    def _digest(self, *parts: bytes) -> bytes:
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._key, text, hashlib.sha256)


def _matches(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password[:_BCRYPT_BYTES], hashed.encode())
    except ValueError:  # say, a salt whose last character bcrypt does not allow
        return False


def _remember(credentials: OrderedDict[bytes, None], credential: bytes) -> None:
    credentials[credential] = None
    while len(credentials) > _REMEMBERED:
        credentials.popitem(last=False)
