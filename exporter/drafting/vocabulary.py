"""What vendors call things, in several languages: from a field's name to what it may be. Pure."""

import re
from enum import StrEnum

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")


# How sure a role is where only what is counted says it.
BY_UNIT = 0.6


class Role(StrEnum):
    """What a number says of an allowance."""

    USED = "requests"
    LIMIT = "limit"
    REMAINING = "remaining"
    RATE = "rate_limit"
    REJECTED = "rejected"


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


USED = _set(
    "used usage usages consumed consumption current count spent made used_count "
    "utilized utilised utilization utilisation total_usage verbraucht genutzt "
    "verbrauch nutzung benutzt utilizado utilizados usado usados uso consumido "
    "consumo consumidos utilise utilises consomme consommes consommation usati "
    "utilizzo utilizzati gebruikt verbruikt verbruik zuzyte wykorzystane anvant brugt "
    "использовано использование 已用 已使用 使用量 使用 使用済み 사용량"
)
LIMIT = _set(
    "limit limits quota quotas max maximum allowed allowance allotment cap capacity "
    "included granted entitlement entitlements ceiling purchased limite limites "
    "maximo maximal plafond kontingent grenze hochstwert obergrenze cuota cota quote "
    "massimo inbegriffen limiet maximaal inbegrepen лимит квота 配额 限额 上限 総量 额度 한도 할당량"
)
# A limit, and nothing but.
LIMITS = _set("limit limits quota quotas max maximum cap")
REMAINING = _set(
    "remaining remain remains remained left rest available balance unused verbleibend "
    "verbleibende ubrig restlich guthaben restante restantes disponible disponibles "
    "disponivel saldo reste rimanente rimanenti residuo resterend resterende "
    "pozostalo kvar осталось остаток 剩余 余额 残り 残量 남은 잔여"
)
RATE = _set("rpm rps qps tps")
REJECTED = _set("rejected refused throttled denied ratelimited")
# A number with one of these is about something else than requests of a billing period.
OTHER = _set(
    "price cost amount version status code id ids page pages offset timestamp time "
    "date year month_number age size ttl port latency duration ms percent percentage "
    "pct ratio rate_percent average avg mean created updated elapsed days hours "
    "minutes seconds concurrent concurrency concurrents parallel overage "
    "extension slots seats"
)
# Of these there may be an allowance as well, where the name says so: used_seconds.
OF_TIME = _set("hours minutes seconds")
_PAST = frozenset({"last", "previous", "prior", "yesterday"})
_MOST = frozenset({"max", "maximum"})
# Alone, each of these is a limit: searches_per_month, plan_credits, monthly_requests.
_ALLOWED_PER = re.compile(r"(^|_)(per_(month|year|period)|plan|monthly|yearly|included|total)(_|$)")
_RATE_PER = re.compile(
    r"(^|_)(per_?)(minute|min|second|sec)(_|$)|rate_?limit.*(minute|second)|(minute|second).*limit"
)
SECOND = re.compile(r"per_?(second|sec)|(^|_)(rps|qps|tps)(_|$)|(^|_)second(_|$)")

END = _set(
    "reset resets renewal renews renew next end ends until expires expiry refill "
    "refills refresh bis ablauf fin hasta ate fine einde 重置 到期 リセット"
)
START = _set("start starts begin begins since from von desde debut inizio início ab 开始")
NAMES = (
    "name",
    "title",
    "label",
    "display_name",
    "displayname",
    "scope",
    "metric",
    "product",
    "product_type",
    "service",
    "api",
    "feature",
    "resource",
    "sku",
    "category",
    "dimension",
    "type",
    "kind",
    "endpoint",
    "bezeichnung",
    "nombre",
    "nom",
    "nome",
    "naam",
    "名称",
    "名前",
)
IDS = ("id", "key", "slug", "code", "uuid", "identifier")
UNITS = _set(
    "credits credit characters character tokens token requests request calls call "
    "searches search units points queries query messages emails verifications "
    "transactions lookups images"
)
PLANS = ("plan_name", "plan", "current_plan", "tier", "subscription", "package", "product_name", "tarif", "paket")
# These carry no meaning of their own, so what is left of a name is what is counted.
_SHORTEST_PLURAL = 3
_FILLER = _set(
    "the of in this current total number num count per month monthly plan account "
    "period daily day today api key usage used limit limits quota quotas rate is so "
    "far value amount my user data current currently made max maximum"
)
WINDOWS = {
    "minute": "1m",
    "minutely": "1m",
    "hour": "1h",
    "hourly": "1h",
    "day": "1d",
    "daily": "1d",
    "today": "1d",
    "24h": "1d",
    "month": "month",
    "monthly": "month",
}


def words(name: str) -> tuple[str, ...]:
    """plan_searchesLeft -> plan, searches, left; lower case, without accents of Latin letters."""
    return tuple(_plain(word) for word in _WORD.findall(name))


def _plain(word: str) -> str:
    return word.lower().translate(str.maketrans("áàâäãåéèêëíìîïóòôöõúùûüçñ", "aaaaaaeeeeiiiiooooouuuucn"))


def is_interval(text: str) -> str | None:
    """monthly, or every day: what a text that is an interval says."""
    found = words(text)
    return window(text) if 0 < len(found) <= 2 and found[0] in {*WINDOWS, "per", "every"} else None  # noqa: PLR2004


def snake(name: str) -> str:
    return "_".join(words(name))


def roles(name: str) -> dict[Role, float]:
    """What a number of this name may be, with how sure that is (0 to 1), most words first. {} where nothing says."""
    found, joined = words(name), snake(name)
    if joined == "total":
        # The whole of a quota, or of what was counted: the numbers beside it say which.
        return {Role.LIMIT: 0.6, Role.USED: 0.5}
    if _RATE_PER.search(joined) or set(found) & RATE:
        return {Role.RATE: 1.0}
    if set(found) & REJECTED:
        return {Role.REJECTED: 1.0}
    if set(found) & OTHER and not _is_time_allowed(set(found)):
        return {}
    past = 0.6 if set(found) & _PAST else 1.0
    if found and found[0] in _MOST:
        return {Role.LIMIT: 1.0}
    scores: dict[Role, float] = {}
    for role, known in ((Role.REMAINING, REMAINING), (Role.LIMIT, LIMIT), (Role.USED, USED)):
        hits = [word for word in found if word in known]
        if hits:
            # The last word of an English name is what it is: limit_remaining is no limit.
            scores[role] = 1.0 if found[-1] in known else 0.8
    if Role.REMAINING in scores and "available" in found:
        scores[Role.LIMIT] = max(scores.get(Role.LIMIT, 0.0), 0.75)
    if Role.LIMIT in scores and Role.USED in scores:
        weaker = Role.USED if found[-1] not in USED else Role.LIMIT
        scores[weaker] *= 0.5
    if Role.REMAINING in scores and Role.LIMIT in scores and "available" not in found:
        scores[Role.LIMIT] *= 0.3
    if not scores and set(found) & UNITS:
        scores[Role.LIMIT if _ALLOWED_PER.search(joined) else Role.USED] = BY_UNIT
    return {role: past * sure for role, sure in scores.items()}


def _is_time_allowed(found: set[str]) -> bool:
    return found & OTHER <= OF_TIME and bool(found & (USED | LIMIT | REMAINING)) and not found & END


def subject(name: str) -> frozenset[str]:
    """What is counted, by the name: plan_searches_left -> searches."""
    return frozenset(
        _singular(word) for word in words(name) if word not in _FILLER | USED | LIMIT | REMAINING | set(WINDOWS)
    )


def _singular(word: str) -> str:
    if word.endswith("ches"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and len(word) > _SHORTEST_PLURAL else word


def counted(name: str) -> tuple[str, ...]:
    """The words of subject(), in their order and as they are written: plan_searches_left -> searches."""
    known = subject(name)
    return tuple(word for word in words(name) if _singular(word) in known)


def window(name: str) -> str | None:
    """The length of a period that a name speaks of: month, 1d, 1h or 1m."""
    return next((WINDOWS[word] for word in words(name) if word in WINDOWS), None)
