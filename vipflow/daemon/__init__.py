"""The daemon: one process that runs an installation. It puts together the web application, the ticks and delivery."""
