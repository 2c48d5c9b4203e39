"""A deterministic simulator of the production consensus core: one seed, one run, the same on every machine."""
