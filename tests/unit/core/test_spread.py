"""How far scores may be off: beside SciPy, and what the methods are defined by."""

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from workers.core.spread import Spread, spread


def test_even_values_get_students_interval():
    """Of values that are no more peaked than the normal distribution, mean, interval and p are those of the t-test."""
    values = np.random.default_rng(0).uniform(size=40)
    far, theory = spread(values - values.mean()), ttest_1samp(values, 0.4)
    assert far.freedom == 39
    assert far.around(values.mean()) == pytest.approx(theory.confidence_interval(0.95))
    assert far.p(values.mean() - 0.4) == pytest.approx(theory.pvalue)


def test_few_values_that_pull_most_leave_few_degrees_of_freedom():
    """Two of a hundred rows that pull, as far to either side, have a kurtosis of 50: some four degrees are left."""
    pulls = np.zeros(100)
    pulls[:2] = 1.0, -1.0
    assert spread(pulls).freedom == pytest.approx(2 * 100 / 49)
    assert spread(pulls, unseen=0.0).freedom == 99
    assert spread(pulls, unseen=6.0).error == pytest.approx(2 * spread(pulls, unseen=0.0).error)


def test_the_skewness_is_taken_out_as_hall_does():
    """Each end is where Hall's cubic of Student's t is its quantile; large values are missed rather than small ones."""
    values = np.random.default_rng(1).exponential(size=60)
    far, mean = spread(values - values.mean()), values.mean()
    skew, root = far.skewness, 60**0.5
    for end, quantile in zip(far.around_skewed(mean), student.ppf([0.975, 0.025], far.freedom), strict=True):
        t = (mean - end) / far.error
        cubic = t + skew / root * t**2 / 3 + skew**2 / 60 * t**3 / 27 + skew / root / 6
        assert cubic == pytest.approx(quantile)
    low, high = far.around_skewed(mean)
    assert high - mean > mean - low
    even = Spread(60, far.error, far.freedom, 0.0)
    assert even.around_skewed(mean) == even.around(mean)


def test_what_shows_no_spread_or_no_number_has_no_error():
    """Equal values have an error of zero, and what is not finite none; huge ones stay in range."""
    assert spread(np.zeros(20)).error == 0
    assert np.isnan(spread(np.array([np.nan, 1.0, 2.0])).error)
    assert spread(np.array([-1e200, 1e200] * 10)).error == pytest.approx(1e200 / 19**0.5)
