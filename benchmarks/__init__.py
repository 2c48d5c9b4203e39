"""Load, speed figures, soak and the full-size run, over real node processes."""
