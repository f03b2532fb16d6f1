"""Thresholds of the config's several places -> where the bands of each organisation's scopes begin."""

from collections.abc import Iterator, Sequence

from exporter.config.api import Api, ConfigFile, Organisation, ScopedSteps, Steps
from exporter.config.yaml_document import FieldPath, suggestion
from exporter.thresholds import Bands, OrganisationBands


def organisation_bands(config: ConfigFile, api: Api, organisation: Organisation) -> OrganisationBands:
    """The more specific counts: the organisation's over its labels' over the api's over all; a scope's over these.

    Raises ValueError where together they are no thresholds.
    """
    levels = (api.thresholds, *_of_labels(config, organisation), organisation.thresholds)
    general = _merged(config.thresholds.bands, levels, "")
    names = sorted({name for level in levels for name in level.scopes})
    scopes = {}
    for name in names:
        own = [level.scopes[name] for level in levels if name in level.scopes]
        scopes[name] = _merged(general, own, f" of scope {name!r}")
    return OrganisationBands(general, scopes)


def _of_labels(config: ConfigFile, organisation: Organisation) -> Iterator[ScopedSteps]:
    """In the file's order, where several labels of an organisation have thresholds."""
    for label, by_value in config.thresholds.labels.items():
        value = organisation.labels.get(label)
        if value in by_value:
            yield by_value[value]


def _merged(bands: Bands, levels: Sequence[Steps], whose: str) -> Bands:
    warning, critical = bands.warning, bands.critical
    for level in levels:
        warning = level.warning if level.warning is not None else warning
        critical = level.critical if level.critical is not None else critical
    try:
        return Bands(warning, critical)
    except ValueError as error:
        raise ValueError(f"the thresholds{whose}, with those above them: {error}") from None


def threshold_checks(config: ConfigFile) -> Iterator[tuple[FieldPath, str]]:
    """What is wrong in the thresholds, as (path, message)."""
    for label, by_value in config.thresholds.labels.items():
        where: FieldPath = ("thresholds", "labels", label)
        if label not in config.organisation_labels:
            yield (
                where,
                f"is not declared in organisation_labels{suggestion(label, list(config.organisation_labels))}",
            )
            continue
        known = {one.labels[label] for api in config.apis for one in api.organisations if label in one.labels}
        for value in by_value.keys() - known:
            yield (*where, value), f"no organisation has {label}: {value}{suggestion(value, sorted(known))}"
    for index, api in enumerate(config.apis):
        yield from ((("apis", index, *path), message) for path, message in _api_checks(config, api))


def _api_checks(config: ConfigFile, api: Api) -> Iterator[tuple[FieldPath, str]]:
    for scope in api.thresholds.scopes:
        override = api.overrides.get(scope)
        if override is not None and override.name is not None:
            yield ("thresholds", "scopes", scope), f"is shown as {override.name!r} (overrides): name it so here"
    for position, organisation in enumerate(api.organisations):
        try:
            organisation_bands(config, api, organisation)
        except ValueError as error:
            yield ("organisations", position), str(error)
