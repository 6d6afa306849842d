"""The HTTP server of the bot: the door for other services, Slack's endpoint, health and metrics."""
