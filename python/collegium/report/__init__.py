"""What a run found, as a table and as one self-contained page."""
