"""What several dashboards show alike: texts, field options, the choice of an api."""

from exporter.metrics import API, POLL_INTERVAL, Metric
from exporter.thresholds import Bands

from .panels import Json, Variable, label_variable, thresholds, words, words_from
from .promql import CLUSTER, NAMESPACE, Selection, one_of_variable, select
from .queries import Mark
from .theme import MUTED, PERCENT, RED, band_steps

# So long what is no longer there can still be chosen, and says that it has no data.
KNOWN_FOR = "1d"

NO_DATA = "No data"
# With spaces that do not break, as it stands beside the bar.
BOUNDLESS: dict[float, str] = {Mark.UNLIMITED: "Unlimited", Mark.LIMIT_ZERO: "Limit\u00a0is\u00a00"}

PALETTE: Json = {"color": {"mode": "palette-classic"}}


def percentage(bands: Bands) -> Json:
    """Field options of a percentage used."""
    return {
        "unit": PERCENT,
        "decimals": 2,
        "min": 0,
        "max": 100,
        "noValue": NO_DATA,
        "mappings": [
            words({**BOUNDLESS, Mark.NO_DATA: NO_DATA}, MUTED),
            words_from(Mark.INFINITE, BOUNDLESS[Mark.LIMIT_ZERO], RED),
        ],
        **thresholds(band_steps(bands)),
    }


def dashed(dash: int = 8, gap: int = 6, *, width: int = 1) -> Json:
    """Properties of a line's override; dash, gap and width in pixels."""
    return {"custom__lineStyle": {"fill": "dash", "dash": [dash, gap]}, "custom__lineWidth": width}


# Numbers of one cluster and namespace at a time: those of two would pass for replicas of each other.
PLACE_CHOSEN = {CLUSTER: one_of_variable(CLUSTER), NAMESPACE: one_of_variable(NAMESPACE)}


def place_variables() -> list[Variable]:
    """Cluster and namespace; without a choice where targets have no such labels."""
    in_cluster = {CLUSTER: PLACE_CHOSEN[CLUSTER]}
    return [known_variable(CLUSTER, {}, "Cluster"), known_variable(NAMESPACE, in_cluster, "Namespace")]


def api_variable(*, many: bool = False) -> Variable:
    return known_variable(API, PLACE_CHOSEN, "API", many=many)


def known_variable(
    label: str, where: Selection, title: str, *, of: Metric = POLL_INTERVAL, many: bool = False
) -> Variable:
    """The values that a label of a metric has now, or had within KNOWN_FOR."""
    query = f"group by ({label}) (last_over_time({select(of, where, window=KNOWN_FOR)}))"
    return label_variable(label, query, title=title, many=many)
