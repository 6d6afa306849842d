"""Draws the chart of a `data_visualization` block as SVG, somewhat as Slack does."""

from html import escape
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 560, 230, 58, 46, 10
_COLOURS = ("#1264a3", "#e8912d", "#007a5a", "#e01e5a", "#7c3085", "#616061")


def chart(body: dict[str, Any]) -> str:
    """The lines of a chart, its axes and what each line is."""
    axis = body["axis_config"]
    labels, series = axis["categories"], body["series"]
    values = [point["value"] for one in series for point in one["data"]]
    low, high = min(values), max(values)
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    low, high = low - (high - low) * 0.05, high + (high - low) * 0.05

    def x(index: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - 14) * (index / max(1, len(labels) - 1))

    def y(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - (value - low) / (high - low))

    parts = []
    for step in range(5):
        value = low + (high - low) * step / 4
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#e8e8e8"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for index, label in enumerate(labels):
        parts.append(
            f'<text x="{x(index):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{escape(label)}</text>'
        )
    for colour, one in zip(_COLOURS, series, strict=False):
        places = [(x(index), y(point["value"])) for index, point in enumerate(one["data"])]
        line = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across:.1f}" cy="{down:.1f}" r="2.5" fill="{colour}"/>' for across, down in places]
    middle = (_LEFT + _WIDTH) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(axis.get("x_label", ""))}</text>')
    down = (_HEIGHT - _BOTTOM) / 2
    label = escape(axis.get("y_label", ""))
    parts.append(f'<text transform="translate(12 {down}) rotate(-90)" text-anchor="middle">{label}</text>')
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{escape(one["name"])}</span>'
        for colour, one in zip(_COLOURS, series, strict=False)
    )
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    return f'<svg class="chart" aria-label="chart" {size}>{"".join(parts)}</svg><div class="legend">{legend}</div>'
