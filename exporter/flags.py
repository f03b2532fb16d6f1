"""Kinds of values that flags take."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import click

from exporter.sharding import Shard
from exporter.web.addresses import Address

T = TypeVar("T")


class Parsed(click.ParamType[T], Generic[T]):
    """What `kind` is told from, by a function that raises ValueError for what it cannot read."""

    def __init__(self, name: str, kind: type[T], parse: Callable[[str], T]) -> None:
        self.name = name
        self._kind = kind
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        if isinstance(value, self._kind):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


ADDRESS = Parsed("address", Address, Address.parse)
SHARD = Parsed("i/n", Shard, Shard.parse)
