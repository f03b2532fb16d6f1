"""Vendors' APIs as data: one YAML file each."""
