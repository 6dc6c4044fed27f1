"""The tests of Ithil: `unit`, `integration`, `conformance` and `fuzz`, and the real servers they talk to."""
