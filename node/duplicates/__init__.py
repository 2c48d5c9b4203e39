"""This node's part in making keyed values: its share of the key, its peers, and its quota."""
