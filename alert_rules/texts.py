"""Parts of annotations, in Prometheus' template language, of which summaries and descriptions are put together.

In queries a template variable stands for label matchers, as in `last(LIMIT, "$scope")`. A text with a query begins
with the part that sets the variable: OF_ORGANISATION, OF_SCOPE or OF_EXPORTER.
"""

import re

from exporter import metrics
from exporter.metrics import (
    LAST_SUCCESS,
    PERIOD_END,
    READ_TIME,
    SCOPE_INFO,
    STALE_AFTER,
    UNIT,
    Metric,
)

from .promql import last
from .recording import ALLOWED, FRESHEST, USED

_VARIABLE = re.compile(r"\$\w+")


def lines(*parts: str) -> str:
    """A text of these parts, each of one line or more; in YAML they are folded, so that a space joins them."""
    return "\n".join(parts)


# Whom an alert names.
API = f"{{{{ $labels.{metrics.API} }}}}"
ORGANISATION = f"{{{{ $labels.{metrics.ORGANISATION} }}}}"
SCOPE = f"{{{{ $labels.{metrics.SCOPE} }}}}"

# Whom to ask: the label `team`, where the config's organisation_labels has it.
OWNER = '{{ with index $labels "team" }}team {{ . }}{{ else }}the owner of the plan{{ end }}'

# Numbers as people read them. Prometheus' own functions would make 90 % of 90.0001 %, and 2.5e+04 % of 25,000 %.
_THOUSANDS = ' | reReplaceAll "([0-9])([0-9]{3})$" "$1,$2"' + ' | reReplaceAll "([0-9])([0-9]{3})," "$1,$2,"' * 4
GROUPED = f'printf "%.0f"{_THOUSANDS}'
_HUNDREDTHS = 'printf "%.2f" | reReplaceAll "[.]?0+$" ""'


def _percent(ratio: str, promql: str) -> str:
    """A ratio of the template as a percentage of two decimals at most; promql: what makes hundredths of it."""
    query = f'printf "{promql} / 1e2" {ratio} | query'
    return f"{{{{ with {query} }}}}{{{{ . | first | value | {_HUNDREDTHS} }}}}%{{{{ end }}}}"


# Rounded down: what is under a boundary never looks as if it were at it.
_DOWN = "floor(round(vector(1e4 * %.15g), 1e-6))"
# Rounded up, but not to the limit: what is over a boundary never looks as if it were at it.
_UP = "clamp_max(ceil(round(vector(1e4 * %.15g), 1e-6)), 9999 + 1e12 * (%.15g >= bool 1))"

# The alert's own value.
VALUE_PERCENT = _percent("$value", _DOWN)
VALUE_PERCENT_OVER = _percent("$value $value", _UP)
# A count that a label holds, or a word.
PREVIOUS = lines(
    '{{ if match "^[0-9]+$" $labels.previous -}}',
    f"{{{{ $labels.previous{_THOUSANDS} }}}}",
    "{{- else }}{{ $labels.previous }}{{ end }}",
)
VALUE_COUNT = f"{{{{ $value | {GROUPED} }}}}"

# What a query found, within `inline`, `sentence` and `clause`.
COUNT = f"{{{{ . | first | value | {GROUPED} }}}}"
DECIMAL = '{{ . | first | value | printf "%.1f" }}'
PERCENT = _percent("(. | first | value)", _DOWN)
TIME = '{{ . | first | value | humanizeTimestamp | reReplaceAll ":[0-9.]+ .*" " UTC" }}'
DURATION = "{{ . | first | value | humanizeDuration }}"
# Without what nobody needs of a long one: the seconds, and of days or hours left the minutes.
AGE = '{{ . | first | value | humanizeDuration | reReplaceAll "([dhm]) [0-9.]+s$" "$1" }}'
REMAINDER = '{{ . | first | value | humanizeDuration | reReplaceAll " [0-9]+m [0-9.]+s$" "" }}'

# The variables of queries: matchers of the series that belong to the alert. Whoever scrapes several clusters with one
# Prometheus has these labels; a label that is not there is empty.
OF_EXPORTER = (
    '{{- $exporter := printf "job=%q,cluster=%q,namespace=%q"'
    ' $labels.job (index $labels "cluster") (index $labels "namespace") -}}'
)
OF_ORGANISATION = (
    '{{- $organisation := printf "job=%q,cluster=%q,namespace=%q,api=%q,organisation=%q"'
    ' $labels.job (index $labels "cluster") (index $labels "namespace") $labels.api $labels.organisation -}}'
)
OF_SCOPE = OF_ORGANISATION + '\n{{- $scope := printf "%s,scope=%q" $organisation $labels.scope -}}'


def printed(promql: str) -> str:
    """The template expression of this query, with its variables, such as $scope, filled in."""
    variables = _VARIABLE.findall(promql)
    return f'printf "{_VARIABLE.sub("%s", promql)}" {" ".join(variables)}'


def inline(promql: str, text: str, otherwise: str = "") -> str:
    """The text if the query finds anything, within a line."""
    alternative = f"{{{{ else }}}}{otherwise}" if otherwise else ""
    return f"{{{{ with {printed(promql)} | query }}}}{text}{alternative}{{{{ end }}}}"


def sentence(promql: str, text: str, otherwise: str = "") -> str:
    """The text, on lines of its own, if the query finds anything. A space follows it either way."""
    return _lines(promql, text, otherwise, end="{{- end }}")


def clause(promql: str, text: str, otherwise: str = "") -> str:
    """As `sentence`, but what follows, such as a full stop, follows without a space."""
    return _lines(promql, text, otherwise, end="{{- end -}}")


def _lines(promql: str, text: str, otherwise: str, end: str) -> str:
    alternative = f"{{{{- else }}}}\n{otherwise}\n" if otherwise else ""
    close = "-}}" if text.startswith((",", ";")) else "}}"  # a hyphen takes away the space before the text
    return f"{{{{- with {printed(promql)} | query {close}\n{text}\n{alternative}{end}"


def newest(metric: Metric) -> str:
    """What the replica says of the scope that read it last."""
    return f"max({last(metric, '$scope')} and {FRESHEST}{{$scope}})"


# Parts that need OF_SCOPE.
UNIT_OF_SCOPE = inline(last(SCOPE_INFO, "$scope"), f'{{{{ . | first | label "{UNIT}" }}}}', "requests")
PERIOD_ENDS_AT = newest(PERIOD_END)
_REMAINDER = inline(f"clamp_min({PERIOD_ENDS_AT} - time(), 0)", REMAINDER)
PERIOD_LEFT = sentence(PERIOD_ENDS_AT, f"The billing period ends on {TIME}:\n{_REMAINDER} left.")

_REQUESTS = inline(f"{USED}{{$scope}}", COUNT)
_LIMIT = inline(f"{ALLOWED}{{$scope}}", COUNT)
REQUESTS_OF_LIMIT = f"{_REQUESTS}\nof {_LIMIT}\n{UNIT_OF_SCOPE}"
SO_MUCH_USED, SO_MUCH_USED_OVER = (
    f"""{ORGANISATION} has used
{REQUESTS_OF_LIMIT}
of {SCOPE} at {API}: {percent} of what the billing period allows."""
    for percent in (VALUE_PERCENT, VALUE_PERCENT_OVER)
)
SCOPE_AGE = f"time() - max({FRESHEST}{{$scope}} and {last(READ_TIME, '$scope')})"

STALE_FIGURES = sentence(
    f"{SCOPE_AGE} >= max({last(STALE_AFTER, '$organisation')})",
    f"These figures are {AGE} old, as the vendor does not answer: it may be more by now.",
)

# Parts that need OF_ORGANISATION.
DATA_AGE = f"time() - max({last(LAST_SUCCESS, '$organisation')})"
LAST_READ = sentence(DATA_AGE, f"Data was last read {AGE} ago.", "No data was ever read since the exporter started.")
