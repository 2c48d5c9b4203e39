"""Mutual aid: plans, members, claims, cycles."""
