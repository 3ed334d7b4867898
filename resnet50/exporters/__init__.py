"""Write a trained classifier for another runtime: one module per format, and `export`, which checks the result.

Opening an export is in `resnet50.inference.runtimes`, so that it needs nothing from here.
"""
