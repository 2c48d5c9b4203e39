"""Evidence on the chain: which item exists, who keeps it, who may open it, who did, and that it is erased."""
