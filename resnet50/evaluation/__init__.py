"""A trained model on a source of images, by all the rules: which images count, what makes a score unreliable.

Numbers are computed in `resnet50.metrics` and pages written in `resnet50.reports`; nothing here parses options.
"""
