"""What is wrong with a dataset: duplicates, leakage between splits, mislabeled, missing or misleading images.

Here are the checks and the issues that they raise, but not the page that shows them (`resnet50.reports`).
"""
