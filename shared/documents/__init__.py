"""Documents that are made from a run's record: its model card and its data card. Plain values in, text out."""
