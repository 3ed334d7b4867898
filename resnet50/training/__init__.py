"""Training: a recipe and a dataset's splits in, a run directory out.

Recipes, phases, schedules, the optimizer, callbacks, checkpoints and the run directory belong here. Loading data,
scores, figures and reports do not, and the numbers of named tasks are in `resnet50.recipes`.
"""
