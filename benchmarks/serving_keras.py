"""The usual way to serve keras.applications.ResNet50, for ``serving.py``: a handler of FastAPI, run by uvicorn."""

import io

import keras
import numpy as np
from fastapi import FastAPI, UploadFile

model = keras.applications.ResNet50(weights=None)
model.predict(np.zeros((1, 224, 224, 3)), verbose=0)
app = FastAPI()


@app.post("/predict")
def predict(image: UploadFile) -> dict[str, list[tuple[str, float]]]:
    pixels = keras.utils.img_to_array(keras.utils.load_img(io.BytesIO(image.file.read()), target_size=(224, 224)))
    row = model.predict(keras.applications.resnet50.preprocess_input(pixels[None]), verbose=0)[0]
    return {"top": [(str(k), float(row[k])) for k in np.argsort(-row)[:3]]}
