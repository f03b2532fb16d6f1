"""Flags that several commands have: kinds of values, and the config file given before a command's name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import click
from click.core import ParameterSource

from exporter.address import Address
from exporter.state.sharding import Shard

T = TypeVar("T")

DEFAULT_CONFIG_FILE = "config.yaml"  # in the working directory, as Prometheus looks for prometheus.yml


class Parsed(click.ParamType[T], Generic[T]):
    """A value of `kind`, read by a function that raises ValueError, saying what would be right."""

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


def config_file_of_group(context: click.Context) -> Path:
    """The group's --config.file, wherever it is from; its default where there is no group."""
    file = context.parent.params["config_file"] if context.parent is not None else DEFAULT_CONFIG_FILE
    return Path(file)


def config_file_before_command(context: click.Context) -> Path | None:
    """--config.file where it was given before the command's name. From the environment it is the exporter's own."""
    group = context.parent
    if group is None or group.get_parameter_source("config_file") is not ParameterSource.COMMANDLINE:
        return None
    return config_file_of_group(context)
