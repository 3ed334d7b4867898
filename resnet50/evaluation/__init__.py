"""Evaluation of a trained model on a source of images: which images are scored, and what makes a score unreliable.

Numbers are computed in `resnet50.metrics` and pages written in `resnet50.reports`; nothing here parses options.
"""
