"""A threshold oblivious pseudo-random function: keyed one-way values that no one can make alone.

Pure: no file, socket or clock; randomness comes in as an argument. docs/duplicates.md has the protocol.
"""
