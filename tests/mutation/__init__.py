"""What the tests of rules and queries would notice: `make mutate`."""
