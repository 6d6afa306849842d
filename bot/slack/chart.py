"""A chart as Slack's `data_visualization` block, for which slack_sdk has no class. Pure.

A line has 1 to 20 points, each with a label that no other point has, in the order of the axis, and a finite value.
"""

from bot.loss_chart import Chart
from bot.slack import blocks as kit
from bot.slack.blocks import Block

TITLE_CHARACTERS = 50
LABEL_CHARACTERS = 20


def chart_block(chart: Chart) -> Block:
    """A line chart."""
    labels = [_label(label) for label in chart.labels]
    series = [
        {
            "name": _label(line.name),
            "data": [{"label": label, "value": value} for label, value in zip(labels, line.values, strict=True)],
        }
        for line in chart.lines
    ]
    axes = {"categories": labels, "x_label": _title(chart.x), "y_label": _title(chart.y)}
    return {
        "type": "data_visualization",
        "title": _title(chart.title),
        "chart": {"type": "line", "series": series, "axis_config": axes},
    }


def _label(text: str) -> str:
    return kit.inert(kit.cut(text, LABEL_CHARACTERS))


def _title(text: str) -> str:
    return kit.inert(kit.cut(text, TITLE_CHARACTERS))
