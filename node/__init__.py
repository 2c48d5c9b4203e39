"""Everything that touches the world: store, transport, driver, sync, API, command line; and the application."""
