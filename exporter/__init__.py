"""api-usage-exporter: how much of an API allowance is used, and whether it will last."""
