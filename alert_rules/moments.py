"""Days and moments in words, in the template language of Prometheus and of vmalert.

An annotation begins with the definitions that it uses: MOMENT_DEFINED for the template `moment` of seconds, or
REACHED_DEFINED for REACHED, where $scope holds a scope's matchers. Prometheus' toTime would be shorter, but older
vmalert lack it. Times are in UTC.
"""

from calendar import day_name, month_name

from exporter.metrics import FORECAST_LIMIT_REACHED, PACE

from .promql import last
from .recording import FRESHEST
from .texts import lines, printed, sentence

# Seconds from the earliest moment to the likely one up to which minutes, or hours, mean something: as the exporter's
# own pages round it.
_MINUTES_MEAN, _HOURS_MEAN = 1800, 43_200


def _define(name: str, *parts: str) -> str:
    return lines(f'{{{{- define "{name}" -}}}}', *parts, "{{- end -}}")


def _reached(estimate: str) -> str:
    """As the replica that read last has it."""
    matchers = f"$of,estimate='{estimate}'"
    return f"max({last(FORECAST_LIMIT_REACHED, matchers)} and ignoring (estimate) {FRESHEST}{{$of}})"


def _pace(window: str) -> str:
    matchers = f"$of,window='{window}'"
    return last(PACE, matchers)


def _replaced(replacements: dict[str, str]) -> str:
    return " | ".join(f'reReplaceAll "{pattern}" "{text}"' for pattern, text in replacements.items())


_MONTHS = _replaced({f" {number:02}$": f" {month_name[number]}" for number in range(1, 13)})
_WEEKDAYS = _replaced({f"^{since_sunday}$": day_name[since_sunday - 1] for since_sunday in range(7)})
_ORDINALS = _replaced({"^([23]?)1th$": "${1}1st", "^(2?)2th$": "${1}2nd", "^(2?)3th$": "${1}3rd"})
_DAY = 'humanizeTimestamp | reReplaceAll " .*" ""'
_MONTH = 'humanizeTimestamp | reReplaceAll "-.. .*" ""'
_FOUND = ". | first | value"
_EARLIEST, _LIKELY, _LATEST = _reached("earliest"), _reached("likely"), _reached("latest")
_WIDTH = "vector(%f - %f)"


def _when_within(seconds: int, window: str) -> str:
    """Whether the earliest and the likely moment are so near; where the vendor counts seldom, nobody knows that."""
    return f'printf "{_WIDTH} <= {seconds} and on () {_pace(window).replace("$of", "%s")}" $likely $first $of | query'


def _rounded(seconds: int) -> str:
    return f'printf "round(vector(%f), {seconds})" $likely | query'


MOMENT_DEFINED = lines(
    # Of seconds: 27 November.
    _define("date", f'{{{{ humanizeTimestamp . | reReplaceAll "^.{{5}}(..)-0?([0-9]+) .*" "$2 $1" | {_MONTHS} }}}}'),
    # Thursday 27 November.
    _define(
        "day",
        '{{ with printf "day_of_week(vector(%f))" . | query }}'
        f'{{{{ {_FOUND} | printf "%.0f" | {_WEEKDAYS} }}}}{{{{ end }}}}',
        '{{ template "date" . }}',
    ),
    # Thursday 27 November at 14:05 UTC.
    _define("moment", '{{ template "day" . }} at {{ humanizeTimestamp . | reReplaceAll "^.{11}(.{5}).*" "$1 UTC" }}'),
)
REACHED_DEFINED = lines(
    MOMENT_DEFINED,
    # 27th.
    _define("nth", f'{{{{ humanizeTimestamp . | reReplaceAll "^.{{8}}0?([0-9]+) .*" "${{1}}th" | {_ORDINALS} }}}}'),
    # Of a scope's matchers: on Thursday 27 November (between the 26th and the 29th).
    _define(
        "reached",
        "{{- $of := . -}}",
        f"{{{{- with {printed(_LIKELY)} | query -}}}}",
        "{{- $likely := . | first | value -}}",
        '{{- if printf "vector(%f) <= time()" $likely | query -}}',
        "by now",
        f"{{{{- else }}}}{{{{ with {printed(_EARLIEST)} | query -}}}}",
        "{{- $first := . | first | value -}}",
        f"{{{{- if {_when_within(_MINUTES_MEAN, 'recent')} -}}}}",
        f"{{{{- with {_rounded(60)} -}}}}",
        'on {{ template "moment" (. | first | value) }}',
        "{{- end -}}",
        f"{{{{- else if {_when_within(_HOURS_MEAN, '1d')} -}}}}",
        f"{{{{- with {_rounded(3600)} -}}}}",
        'on {{ template "day" (. | first | value) }} about',
        '{{ . | first | value | humanizeTimestamp | reReplaceAll "^.{11}(.{5}).*" "$1 UTC" }}',
        "{{- end -}}",
        "{{- else -}}",
        'on {{ template "day" $likely }}',
        f"{{{{- with {printed(_LATEST)} | query -}}}}",
        "{{- $last := . | first | value -}}",
        f"{{{{- if ne ($first | {_MONTH}) ($last | {_MONTH}) }}}}",
        '(between {{ template "date" $first }} and {{ template "date" $last }})',
        f"{{{{- else if ne ($first | {_DAY}) ($last | {_DAY}) }}}}",
        '(between the {{ template "nth" $first }} and the {{ template "nth" $last }})',
        "{{- end -}}",
        f"{{{{- else }}}}{{{{ if ne ($first | {_DAY}) ($likely | {_DAY}) }}}}",
        '(on {{ template "date" $first }} at the earliest)',
        "{{- end }}{{ end }}{{ end }}{{ end }}{{ end }}{{ end -}}",
    ),
)
REACHED = '{{ template "reached" $scope }}'
# The same as a sentence of its own; nothing where nobody knows.
LIKELY_REACHED = sentence(_LIKELY.replace("$of", "$scope"), f"The limit is likely to be reached {REACHED}.")
