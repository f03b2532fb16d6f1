"""What several dashboards show alike: texts, field options, the choice of an api."""

from exporter.metrics import API, POLL_INTERVAL
from exporter.thresholds import Bands

from .panels import Json, Variable, label_variable, thresholds, words, words_from
from .promql import select
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


def api_variable(*, many: bool = False) -> Variable:
    apis = f"group by ({API}) (last_over_time({select(POLL_INTERVAL, window=KNOWN_FOR)}))"
    return label_variable(API, apis, name=API, title="API", many=many)
