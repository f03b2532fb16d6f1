"""Asking vendors: one HTTP client, reading what they answer, one poll, and when to poll."""
