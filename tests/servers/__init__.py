"""Real servers for tests and benchmarks, started from the programs inside wheels."""
