"""One rule for signatures, two machines that follow it: libsodium, and eight lanes of AVX-512 where there are any.

`rule` is the rule's arithmetic, `sodium` the referee, `multilane` the fast one, `library` loads what that calls,
`vectors` and `selftest` are what either must get right before a node trusts it, and `choice` picks.
"""
