"""How far a score may be off by chance, from how much each row pulls it (`influence`).

The standard error is that of the infinitesimal jackknife (Jaeckel 1972): of the mean of the pulls. Where few rows pull
far more than the others it is itself uncertain, and an interval of 1.96 of it is too narrow. So the quantile is that of
Student's distribution whose degrees of freedom suit the variance of the estimated variance, as Satterthwaite (1946) has
it and Pan & Wall (2002) and Kauermann & Carroll (2001) have it for such errors: 2 n / (kurtosis - 1). For normal pulls
these are about n.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

LEAST_ROWS = 10
"""Fewer rows are too few to speak of a distribution."""


@dataclass(frozen=True)
class Spread:
    """How a score that so many rows pull is spread around the truth."""

    rows: int
    error: float
    """The standard error."""
    freedom: float
    """The degrees of freedom of the error."""
    skewness: float
    """Of the pulls."""

    def around(self, value: float) -> tuple[float, float]:
        """The ends of the 95 % interval, as far below `value` as above it."""
        half = float(student.ppf(0.975, self.freedom)) * self.error
        return value - half, value + half

    def around_skewed(self, value: float) -> tuple[float, float]:
        """The ends for a mean of skewed values, which a sample with too few large ones puts too low, and sees too small
        a spread: the cubic that takes the skewness out of Student's t (Hall 1992), solved for the mean.
        """
        if abs(self.skewness) < 1e-6:
            return self.around(value)
        bend, shift = self.skewness / 3 / self.rows**0.5, self.skewness / 6 / self.rows**0.5
        tail = float(student.ppf(0.975, self.freedom))
        below, above = (float(np.cbrt(1 + 3 * bend * (end - shift)) - 1) / bend for end in (tail, -tail))
        return value - below * self.error, value - above * self.error

    def p(self, value: float) -> float:
        """Two-sided, of the truth being zero: below 0.05 just where `around` leaves zero out."""
        return 2 * float(student.sf(abs(value) / self.error, self.freedom))


def spread(pulls: np.ndarray, *, unseen: float | None = None) -> Spread:
    """Of a score from its influences [rows], whose mean is zero.

    `unseen`: of a score that counts, the sum of the squared pulls of what is added to the rows, so that classes of few
    rows, which may show no spread by chance, have some. How few rows pull at all is most of the kurtosis of counts;
    given that number, their sizes hardly differ and the error is as good as known: the degrees of freedom are n - 1.
    """
    rows, most = len(pulls), float(np.abs(pulls).max())
    if rows < 2 or not 0 < most < np.inf:
        return Spread(rows, 0.0 if most == 0 else np.nan, 1.0, 0.0)
    sized = pulls / most  # so that fourth powers stay in range
    squares = sized**2
    variance, fourth = float(squares.mean()), float((squares**2).mean())
    freedom = rows - 1.0
    if unseen is None and fourth > variance**2:
        freedom = min(freedom, 2 * rows / (fourth / variance**2 - 1))
    skewness = float((squares * sized).mean()) / variance**1.5
    error = most * ((variance + (unseen or 0.0) / most / most / rows) / (rows - 1)) ** 0.5
    return Spread(rows, error, freedom, skewness)
