"""A trained model answers: find it, open it in its runtime, classify images, compute features.

Nothing here trains, scores against labels or writes exports. What an exported model needs imports no Keras.
"""
