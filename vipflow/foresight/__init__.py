"""What will happen, what could happen, and why something cannot: `decide` run on copies, nothing written."""
