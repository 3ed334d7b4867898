"""The training model: the network with faster layers for TensorFlow on processors, in bfloat16 where the device has it.

Its weights are those of the plain Keras model, into which they are copied after training; it never reaches a file.
"""
