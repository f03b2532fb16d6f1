"""What is known of every organisation: the latest, its days, what survives a restart, and who watches what."""
