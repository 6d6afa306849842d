"""The Slack front: words of `/lml` in, messages out."""
