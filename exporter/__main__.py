"""`python -m exporter` is api-usage-exporter."""

from exporter.cli import main

main()
