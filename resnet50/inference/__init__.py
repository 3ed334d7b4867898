"""A trained model answers: find it, open it in its runtime, classify images, compute features.

Nothing here trains, scores against labels or writes exports. Predicting imports no
Keras, but for layers that ONNX does not express.
"""
