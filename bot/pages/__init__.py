"""The run pages: what the experiment log holds, read-only, for a browser."""
