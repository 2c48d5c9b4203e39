"""The evidence vault: papers encrypted by the client, kept by the holders, opened by whom the chain lets."""
