"""Words that both sides of LML speak: specs, events, errors, settings, the log, and the stores of bytes."""
