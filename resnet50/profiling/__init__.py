"""Measure how fast training and prediction are on this machine, side by side with keras.applications.

Results that the README states are measured by the scripts in ``benchmarks/``, which use this.
"""
