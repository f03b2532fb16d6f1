"""`api-usage-exporter usage`: the usage cards in a terminal."""
