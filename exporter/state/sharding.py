"""Which of several exporters watches an organisation: a stable hash of its api and id decides.

Rendezvous hashing (Thaler and Ravishankar, 1998): every shard bids for a key, and the highest bid has it. A further
shard takes over only what it bids most for, 1/N of all, and nothing moves between the others.
"""

import hashlib
from dataclasses import dataclass, replace

from exporter.config.load import Config, Target


@dataclass(frozen=True)
class Shard:
    """One of `count` exporters that share a config; index counts from 0."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read I/N. Raises ValueError, saying what would be right."""
        index, slash, count = text.partition("/")
        if not slash or not all(part.isascii() and part.isdigit() for part in (index, count)):
            raise ValueError(f"must be I/N, such as 0/3 for the first of three, not {text!r}")
        shard = cls(int(index), int(count))
        if shard.count == 0:
            raise ValueError(f"must have at least one shard, such as 0/1, not {text!r}")
        if shard.index >= shard.count:
            raise ValueError(f"counts from 0, so the last of {count} is {shard.count - 1}/{count}, not {text!r}")
        return shard

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def watches(self, key: tuple[str, ...]) -> bool:
        """Whether this shard, and no other of them, watches what has this key."""
        bids = [_bid(shard, key) for shard in range(self.count)]
        return bids.index(max(bids)) == self.index

    def of(self, config: Config) -> Config:
        """The config with this shard's organisations alone."""
        return replace(config, targets=tuple(one for one in config.targets if self.watches(_key(one))))


def _key(target: Target) -> tuple[str, ...]:
    """Ids, since a new name must not move an organisation. What one answer holds stays together: it is asked once."""
    if target.api.mapping.organisations is not None:
        return (target.api.name,)
    return (target.api.name, target.organisation.id)


def _bid(shard: int, key: tuple[str, ...]) -> bytes:
    return hashlib.sha256("\0".join((str(shard), *key)).encode()).digest()
