"""Programs on this machine, for whoever runs them: the demo, the tests and the benchmarks."""
