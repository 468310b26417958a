"""What people and programs do with an installation, one module per noun: shared by command line, API and console."""
