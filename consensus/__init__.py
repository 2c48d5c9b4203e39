"""Pure PBFT: events in, effects out. No I/O, no clock, no randomness, no idea what a claim is."""
