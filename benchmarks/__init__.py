"""Measurements: what the exporter bears, with the commands that repeat them."""
