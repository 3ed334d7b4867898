"""Published weights: where they come from, which pixels they expect, and how they are read, loaded and written.

Training, and the network itself, are elsewhere. A name is imported when it is first used; only those that touch a model
(`load_weights`, `save_weights`, `normalize`) import Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
