"""Audit a dataset for duplicates, leakage between splits, and mislabeled, missing or misleading images.

The checks and the issues that they raise; the page that shows them is in `resnet50.reports`.
"""
