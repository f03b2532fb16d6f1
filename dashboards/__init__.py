"""Grafana dashboards as code: `python -m dashboards.build` writes the JSON that stands in dashboards/json/."""
