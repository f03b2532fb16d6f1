"""The config file's models, by what they describe."""

from exporter.schema.api import MAIN_REQUEST, Api, ConfigFile, Organisation, Override, Preset, Static
from exporter.schema.auth import Auth, AwsAuth, BasicAuth, BearerAuth, HeaderAuth, OAuth2Auth
from exporter.schema.mapping import DailyMapping, Join, PeriodMapping, UsageMapping
from exporter.schema.request import Paging, Request

__all__ = (
    "MAIN_REQUEST",
    "Api",
    "Auth",
    "AwsAuth",
    "BasicAuth",
    "BearerAuth",
    "ConfigFile",
    "DailyMapping",
    "HeaderAuth",
    "Join",
    "OAuth2Auth",
    "Organisation",
    "Override",
    "Paging",
    "PeriodMapping",
    "Preset",
    "Request",
    "Static",
    "UsageMapping",
)
