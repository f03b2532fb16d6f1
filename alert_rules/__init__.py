"""The alert rules and runbooks as Python; `build` writes the YAML and Markdown that Prometheus and people read.

Of the exporter, these modules import its metrics, thresholds and links, and nothing else.
"""
