"""Keyed one-way values of events and papers, and the key that the organisations make them with."""
