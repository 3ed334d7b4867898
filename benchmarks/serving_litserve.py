"""The classifier under LitServe, as its documentation shows, for ``serving.py``."""

from __future__ import annotations

import argparse
from typing import Any

import litserve
import numpy as np

TOP = 3


class Api(litserve.LitAPI):
    """A form with an image in, the most probable classes out."""

    def __init__(self, model: str, **options: Any) -> None:
        super().__init__(**options)
        self._model = model

    def setup(self, device: str) -> None:
        """Open the classifier, in the worker."""
        from resnet50.inference.classifier import Classifier

        self._classifier = Classifier.load(self._model)

    def decode_request(self, request) -> np.ndarray:  # LitServe reads an annotation as the type of the body
        """Return the pixels."""
        from resnet50.data.images import fit_image

        height, width = self._classifier.image_size
        return fit_image(request["image"].file.read(), height=height, width=width, fit=self._classifier.fit)

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        """Return pixels as a batch."""
        return np.stack(inputs)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the probabilities."""
        return self._classifier.probabilities(x)

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        """Return rows."""
        return list(output)

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        """Return the most probable classes."""
        best = np.argsort(-output)[:TOP]
        return {"top": [(self._classifier.class_names[k], float(output[k])) for k in best]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    api = Api(options.model, max_batch_size=16, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=options.port, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
