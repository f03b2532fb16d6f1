"""The alerts: a module for each group of alerts.yaml."""
