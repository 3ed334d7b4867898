"""Measure a classifier: scores, calibration, Grad-CAM, similarity to human judgments, cost of each stage.

Functions here return numbers; figures are in `resnet50.plots` and pages in `resnet50.reports`.
"""
