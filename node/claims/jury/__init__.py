"""Juries: exams, ballots, draws, and what they decide about a claim."""
