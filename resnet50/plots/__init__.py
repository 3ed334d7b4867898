"""Matplotlib figures of models, training runs, datasets and evaluations.

Functions here draw numbers that others computed. They return a figure, built without pyplot, and never show or print
it; `resnet50.plots.save.save_figure` writes one.
"""
