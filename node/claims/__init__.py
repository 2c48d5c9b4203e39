"""The claims application: state + transaction + block time -> state + receipt. No I/O, clock or randomness."""
