"""A run in, events and artifacts out."""
