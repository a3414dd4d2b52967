"""Intervals, paired comparisons, agreement, calibration and baselines: the only place that makes intervals.

Values that come from one individual are not independent, so everything here resamples or permutes whole groups
(individuals, litters, videos), never single values. It fits no models and reads no files.
"""
