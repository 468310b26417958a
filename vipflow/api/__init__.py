"""The web application. For now it tells how the daemon is."""
