"""The experiment log: the truth about every run. The one place that knows SQL."""
