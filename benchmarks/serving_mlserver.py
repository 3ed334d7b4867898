"""The classifier as a model of MLServer, as its documentation shows, for ``serving.py``."""

from __future__ import annotations

import numpy as np
from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

TOP = 3


class ResNet(MLModel):
    """Encoded images in, the most probable classes and their probabilities out."""

    async def load(self) -> bool:
        """Open the classifier, in the worker."""
        from resnet50.inference.classifier import Classifier

        self._classifier = Classifier.load(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Classify a batch."""
        from resnet50.data.images import fit_image

        height, width = self._classifier.image_size
        contents = Base64Codec.decode_input(payload.inputs[0])
        images = [fit_image(each, height=height, width=width, fit=self._classifier.fit) for each in contents]
        rows = self._classifier.probabilities(np.stack(images))
        best = np.argsort(-rows, axis=1)[:, :TOP]
        names = [" ".join(self._classifier.class_names[k] for k in each) for each in best]
        outputs = [
            NumpyCodec.encode_output("probabilities", np.take_along_axis(rows, best, axis=1)),
            StringCodec.encode_output("classes", names),
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
