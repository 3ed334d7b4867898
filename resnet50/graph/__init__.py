"""A trained network as a graph of operations: batch norm folded, written as ONNX, and quantized.

Files for a runtime are written in `resnet50.exporters`; opening them is in `resnet50.inference.runtimes`.
"""
