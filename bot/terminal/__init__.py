"""The `lml` command, and the stack that it starts on one machine."""
