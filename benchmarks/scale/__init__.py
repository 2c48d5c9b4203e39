"""How the cost of the programme grows with its members: the same work at 10^5, 10^6 and 10^7 of them.

__main__.py   the command; one process for each step, so that memory and caches are one size's own
members.py    who the members are, and the transactions that enrol them
fill.py       a state database with all of them in it, built in bulk, equal to one filled by blocks
ledger.py     one node without its network: real databases, application, executor, signatures
work.py       what a block took: time by part, and reads, writes and hashes counted
measure.py    the scenario: enrolment, a claim's life, cycles, missed deadlines, statements, proofs
results.py    medians, ratios and the extrapolation
document.py   docs/scale.md and its picture, from the results alone
"""
