"""A trained network as a graph of operations: batch norm folded, and written as ONNX.

Files for a runtime are written in `resnet50.exporters`; opening them is in `resnet50.inference.runtimes`.
"""
