"""A demo without a vendor's contract: a simulated vendor API that meters, limits and rejects, with traffic."""
