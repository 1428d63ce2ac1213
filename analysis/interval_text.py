"""Means with their intervals as short texts for tables."""

from __future__ import annotations

import math

from analysis.intervals import Interval

KEY = "±: half of the 95 % interval of the mean over replications"


def with_width(interval: Interval, form: str) -> str:
    """A mean ± half the width of its interval, with as many decimals as two digits of the width need.

    form: of the mean alone, such as '.1%' or ',.4g'; an interval brings one decimal more at most, three for forms
    without decimals of their own. The mean alone where there is no interval, or one without width; nothing for NaN.

    >>> with_width(Interval(0.6324, 0.6204, 0.6444), ".1%"), with_width(Interval(1234.5, 1000.0, 1469.0), ",.4g")
    ('63.2% ± 1.2%', '1,234 ± 234')
    >>> with_width(Interval(5.0, 5.0, 5.0), ".1f"), with_width(Interval(5.0, 4.9999, 5.0001), ".1f")
    ('5.0', '5.00 ± <0.01')
    """
    if math.isnan(interval.mean):
        return ""
    # What is left of equal values after rounding is no width.
    if not interval.half_width > 1e-12 * abs(interval.mean):
        return format(interval.mean, form)
    scale, unit = (100.0, "%") if form.endswith("%") else (1.0, "")
    most = 3 if form.endswith("g") else int(form.rpartition(".")[2][:-1]) + 1
    mean, half = scale * interval.mean, scale * interval.half_width
    decimals = min(max(1 - math.floor(math.log10(half)), 0), most)
    least = 10.0**-decimals
    width = f"{half:,.{decimals}f}" if half >= 0.5 * least else f"<{least:.{decimals}f}"
    return f"{mean:,.{decimals}f}{unit} ± {width}{unit}"
