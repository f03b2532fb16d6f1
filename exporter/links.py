"""Where the links of alerts and dashboards lead by default: the one home of these addresses.

Standard library only.
"""

# Grafana, as `docker compose up` and a Grafana of one's own machine serve it.
GRAFANA_URL = "http://localhost:3000"
# A placeholder. Below it stands a page for each alert, named as the files in alert_rules/runbooks: <AlertName>.md.
RUNBOOKS_URL = "https://runbooks.example.com/api-usage-exporter"

# uid of the dashboard about one organisation's usage; variables api, organisation and scope.
USAGE_DASHBOARD = "api-usage"
# uid of the dashboard about the exporter itself.
EXPORTER_DASHBOARD = "api-usage-exporter"
