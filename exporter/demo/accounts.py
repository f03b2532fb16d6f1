"""Who has an account at the demo vendor, on what terms, and how much of it is used when the demo starts.

The first organisation shows a card of every kind. The others hold what breaks careless code: quotes, brackets,
backslashes and umlauts in names, percentages a hair beside a threshold, an account without history, a limit of 0.
Scopes that stand for an exact percentage get no traffic, so that they stay there.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ScopeAccount:
    """One scope of an organisation's plan.

    limit: most requests in a billing period (a calendar month in UTC); None is unlimited.
    used: requests already made in the current period when the demo starts.
    rate_limit_per_minute: most requests in a minute; None where there is no such limit.
    hard_limit: whether requests over `limit` are refused; if not, they are served and counted as overage.
    rejected: requests already refused over the rate limit in the current period.
    has_history: False for an account that was opened just now.
    traffic_per_minute: requests that the demo's traffic generator sends; 0 for none.
    """

    id: str
    name: str
    plan: str
    limit: int | None
    used: int
    rate_limit_per_minute: int | None
    hard_limit: bool = True
    rejected: int = 0
    has_history: bool = True
    traffic_per_minute: float = 0.0


@dataclass(frozen=True)
class OrganisationAccount:
    id: str
    name: str
    scopes: tuple[ScopeAccount, ...]


ACCOUNTS: tuple[OrganisationAccount, ...] = (
    OrganisationAccount(
        "example-logistics",
        "Example Logistics",
        (
            # 62.5 %, and rising by 0.06 % a minute.
            ScopeAccount(
                "geocoding", "Geocoding", "Business", 50_000, 31_250, 600, rejected=12, traffic_per_minute=30
            ),
            ScopeAccount("routing", "Routing", "Business", 100_000, 75_000, 300),  # exactly 75 %
            ScopeAccount("distance-matrix", "Distance Matrix", "Business", 200_000, 180_000, 300),  # exactly 90 %
            ScopeAccount("tracking", "Tracking", "Business", 50_000, 47_115, 120, rejected=431),  # 94.23 %
            ScopeAccount(
                "parcel-labels", "Parcel Labels", "Add-on", 10_000, 10_400, 60, hard_limit=False
            ),  # 104 %, billed as overage
            ScopeAccount("status-pages", "Status Pages", "Business", None, 1_284_310, 1_200),
        ),
    ),
    OrganisationAccount(
        "obrien",
        'O\'Brien & "Söhne" (EU)',
        (
            ScopeAccount("maps-v2.1", "Maps (v2.1)", "Team", 60_000, 50_040, 240, rejected=7),  # 83.4 %
            ScopeAccount("search", "Search", "Team", 100_000, 74_990, 600),  # 74.99 %, still below the warning
            ScopeAccount("import-export", "Import\\Export", "Team", 100_000, 90_010, 60),  # 90.01 %, just critical
        ),
    ),
    OrganisationAccount(
        "example-media",
        "Example Media",
        (
            # 88 %, past 90 % within 7 minutes, refused after 40: the demo's alert that one can watch.
            ScopeAccount("image-resize", "Image Resize", "Starter", 10_000, 8_800, 120, traffic_per_minute=30),
            # Asked for more than its rate limit gives: every minute ends in a 429.
            ScopeAccount(
                "transcription", "Transcription", "Team", 150_000, 41_500, 20, rejected=318, traffic_per_minute=30
            ),
            ScopeAccount("thumbnails", "Thumbnails", "Team", None, 402_777, None),
        ),
    ),
    OrganisationAccount(
        "new-labs",
        "New Labs",
        (
            ScopeAccount("sandbox", "Sandbox", "Trial", 1_000, 0, 10, has_history=False),
            ScopeAccount("partner-feed", "Partner Feed", "Trial", 0, 0, 10),  # not part of the plan: a limit of 0
        ),
    ),
)
