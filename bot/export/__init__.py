"""What leaves the log: one run as a zip that stands alone, and the runs as a flat table."""
