"""Where the links of alerts and dashboards lead by default: the one home of these addresses and uids.

Standard library only.
"""

# Grafana, as `docker compose up` and a Grafana of one's own machine serve it.
GRAFANA_URL = "http://localhost:3000"
# A placeholder. Below it stands a page for each alert, named as the files in alert_rules/runbooks: <AlertName>.md.
RUNBOOKS_URL = "https://runbooks.example.com/api-usage-exporter"

# Dashboards' uids, which addresses and file names are made of; a new one breaks links and bookmarks.
# About one organisation's usage; variables api, organisation and scope.
USAGE_DASHBOARD = "api-usage"
# Every organisation of every api.
OVERVIEW_DASHBOARD = "api-usage-overview"
# The exporter itself.
EXPORTER_DASHBOARD = "api-usage-exporter"
