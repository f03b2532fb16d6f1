"""Who may read: passwords against bcrypt hashes, so that guessing costs the guesser and nobody else.

bcrypt is slow on purpose, so what it once said is remembered, and there is one thread for it: however many guesses
come in, scrapes with a known password do not wait and at most one core works on the others.

After a start no password is known. Then a scraper's stands in line among the guesses, or is refused where the line is
full; but it comes again, as guesses do not, and who comes again has a line of its own that goes first.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

import bcrypt
from werkzeug.datastructures import Authorization

# Of right credentials, and of wrong ones: far more than a site has users.
_REMEMBERED = 1024
# Of those that were refused unjudged: enough for a flood's worth between two scrapes.
_REMEMBERED_REFUSED = 16_384
# At some 50 ms to 0.3 s of bcrypt each, as its cost is set: who waits is judged within seconds, not minutes.
_WAITING = 64
# A browser asks for a page's parts at once; many more from one address are guesses, and leave room for others.
_WAITING_PER_CLIENT = 16
_WAITING_AGAIN = 16
# A flood is slowed down to so many seconds for each connection and guess.
_REFUSING_SECONDS = 1.0
_BCRYPT_BYTES = 72  # more are not looked at, by bcrypt's definition
_MAX_PASSWORD_BYTES = 4096  # every guess is hashed to be looked up, so its length is bounded


class Verdict(Enum):
    """BUSY: not judged, since too many guesses are waiting already."""

    IN = "in"
    OUT = "out"
    BUSY = "busy"


@dataclass(frozen=True)
class _Check:
    """A password to be checked. known: whether there is a user of that name."""

    credential: bytes
    password: bytes
    hashed: str
    client: str
    known: bool
    verdict: asyncio.Future[bool]


class BasicAuth:
    """Judges Authorization headers. For one event loop."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        # By a keyed hash, so that memory holds no password and looking one up gives nothing away by its time.
        # Two of them: a flood of wrong passwords must not push the right ones out.
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self._first: OrderedDict[bytes, _Check] = OrderedDict()
        self._again: OrderedDict[bytes, _Check] = OrderedDict()
        self._judging: dict[bytes, _Check] = {}
        self._per_client: Counter[str] = Counter()
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bcrypt")

    async def judge(self, header: str, users: Mapping[str, str], client: str) -> Verdict:
        """header: the Authorization header, "" for none; users: bcrypt hashes by name; client: its address."""
        given = self._given(header, users)
        if given is None:
            return Verdict.OUT
        credential, password, hashed, known = given
        if credential in self._right:
            self._right.move_to_end(credential)
            return Verdict.IN
        if credential in self._wrong:
            return Verdict.OUT
        check = self._judging.get(credential)
        if check is None:
            verdict = asyncio.get_running_loop().create_future()
            check = _Check(credential, password, hashed, client, known, verdict)
            if not self._stands_in_line(check):
                _remember(self._refused, credential, _REMEMBERED_REFUSED)
                await asyncio.sleep(_REFUSING_SECONDS)
                return Verdict.BUSY
        # Shielded: the scraper whose time is up before its turn comes is known the next time.
        return Verdict.IN if await asyncio.shield(check.verdict) else Verdict.OUT

    def _given(self, header: str, users: Mapping[str, str]) -> tuple[bytes, bytes, str, bool] | None:
        """(credential, password, hash, whether the user exists), or None where there is nothing to judge."""
        # werkzeug fails on base64 that is not ASCII.
        given = Authorization.from_header(header) if header.isascii() else None
        if given is None or given.type != "basic" or given.username is None or given.password is None:
            return None
        password = given.password.encode()
        if len(password) > _MAX_PASSWORD_BYTES:
            return None
        known = given.username in users
        # An unknown user costs what a known one does: a hash is checked all the same.
        hashed = users[given.username] if known else max(users.values(), key=lambda value: value[4:6])
        return self._digest(given.username.encode(), password, hashed.encode()), password, hashed, known

    def _stands_in_line(self, check: _Check) -> bool:
        if check.credential in self._refused:
            if len(self._again) >= _WAITING_AGAIN:
                return False
            self._again[check.credential] = check
        else:
            if len(self._first) >= _WAITING or self._per_client[check.client] >= _WAITING_PER_CLIENT:
                return False
            self._first[check.credential] = check
            self._per_client[check.client] += 1
        self._judging[check.credential] = check
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())
        return True

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._again or self._first:
            check = self._next()
            right = await loop.run_in_executor(self._thread, _matches, check.password, check.hashed) and check.known
            _remember(self._right if right else self._wrong, check.credential, _REMEMBERED)
            del self._judging[check.credential]
            check.verdict.set_result(right)
        self._worker = None

    def _next(self) -> _Check:
        if self._again:
            return self._again.popitem(last=False)[1]
        _, check = self._first.popitem(last=False)
        self._per_client[check.client] -= 1
        if not self._per_client[check.client]:
            del self._per_client[check.client]
        return check

    def _digest(self, *parts: bytes) -> bytes:
        text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._key, text, hashlib.sha256)


def _matches(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password[:_BCRYPT_BYTES], hashed.encode())
    except ValueError:  # say, a salt whose last character bcrypt does not allow
        return False


def _remember(credentials: OrderedDict[bytes, None], credential: bytes, most: int) -> None:
    credentials[credential] = None
    credentials.move_to_end(credential)
    while len(credentials) > most:
        credentials.popitem(last=False)
