"""Data of the config file in layers: an api's own fields on top of its preset's. Pure."""

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from exporter.config.fields import ShortForm


def merged(below: Any, above: Any, kind: Any) -> Any:
    """`above` on top of `below`: objects field by field, all else replaced whole. kind: the value's type.

    Replaced whole is also what is one value, though it may be written as an object: an expression, a secret, a
    period, and a choice of several objects, such as auth.
    """
    if not isinstance(below, dict) or not isinstance(above, dict) or _is_one_value(kind):
        return above
    both = {name: merged(below[name], above[name], _kind_of(kind, name)) for name in below.keys() & above.keys()}
    return {**below, **above, **both}


def _is_one_value(kind: Any) -> bool:
    models = _models(kind)
    return len(models) > 1 or any(issubclass(model, ShortForm) for model in models)


def _kind_of(kind: Any, name: str) -> Any:
    """The type of an object's field; None where the types do not say."""
    for model in _models(kind):
        return model.model_fields[name].annotation if name in model.model_fields else None
    values = [get_args(member)[1] for member in _members(kind) if get_origin(member) is dict]
    return values[0] if values else None


def _models(kind: Any) -> list[type[BaseModel]]:
    return [member for member in _members(kind) if isinstance(member, type) and issubclass(member, BaseModel)]


def _members(kind: Any) -> list[Any]:
    """The types that a type is made of: int | None -> [int, None]; Annotated[int, …] -> [int]."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [member for argument in get_args(kind) for member in _members(argument)]
    return [kind]
