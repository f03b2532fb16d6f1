"""The alerts about what the exporter watches, as an Alertmanager or a Prometheus has them."""
