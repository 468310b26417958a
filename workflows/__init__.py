"""The workflows of Adobe VIP customers, one file each; each reads like the document it came from."""
