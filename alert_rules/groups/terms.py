"""What the vendor changed of the plan."""

from exporter.metrics import LIMIT_CHANGED

from ..promql import DAY_SECONDS, MAX_OF_REPLICAS, last
from ..recording import ALLOWED
from ..rules import Alert, Group
from ..texts import API, COUNT, OF_SCOPE, ORGANISATION, OWNER, PREVIOUS, SCOPE, TIME, UNIT_OF_SCOPE, clause, lines

_LOWERED = 'term="limit",direction="lowered"'
# In single quotes, since double ones end the template's text around it.
_LOWERED_OF_SCOPE = "$scope,term='limit',direction='lowered'"

GROUP = Group(
    name="api-usage-terms",
    interval="1m",
    alerts=(
        Alert(
            name="ApiUsageLimitLowered",
            comment="""
                Replicas see a change at polls of their own, minutes apart: the value is when the last of them did. It
                fires for a day, and ends sooner where the limit is changed again.
            """,
            expr=f"""
                time() - {MAX_OF_REPLICAS} (
                  {last(LIMIT_CHANGED, _LOWERED)}
                ) < {DAY_SECONDS}
            """,
            for_="1m",
            severity="warning",
            about="scope",
            summary=f"{ORGANISATION}: the limit of {SCOPE} ({API}) was lowered",
            description=lines(
                OF_SCOPE,
                f"{API} lowered the limit of {ORGANISATION} for {SCOPE} from {PREVIOUS}",
                clause(f"{ALLOWED}{{$scope}}", f"to {COUNT}\n{UNIT_OF_SCOPE}"),
                clause(f"max({last(LIMIT_CHANGED, _LOWERED_OF_SCOPE)})", f", seen on {TIME}"),
                ".",
                f"Ask {OWNER} whether that was meant: a trial, a discount or a payment may have ended.",
                "If it stays, see whether the usage still fits.",
            ),
        ),
    ),
)
