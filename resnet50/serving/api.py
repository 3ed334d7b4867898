"""The HTTP interface of a classifier: a FastAPI application, whatever answers behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from resnet50.inference.prediction import Prediction
from resnet50.serving.bodies import is_form, read_images
from resnet50.serving.limits import LimitRequests, Limits, refusal
from resnet50.serving.open_inference import InferenceRequest, model_metadata, read_request, respond
from resnet50.serving.refusals import RequestError
from resnet50.serving.served_model import Answer, Image, Row, ServedModel, Shares
from resnet50.uncertainty.shares import COVERAGE, REFUSE

Classify = Callable[[Sequence[Image], Shares | None], Awaitable[Sequence[Row]]]
"""Classifies images, and asks the thresholds where shares are given.

It raises `RequestError` with status 503 where it has no room for the images, or nothing answers, and with status 400
where the model has no thresholds for the shares.
"""

Read = Callable[[bytes], Awaitable[InferenceRequest]]
"""Reads the JSON of a request, as `read_request` does, while the event loop goes on."""

Ready = Callable[[], Awaitable[bool]]
"""Returns whether images can be classified now."""

Awaited = TypeVar("Awaited")

_Share = Annotated[float | None, Query(gt=0, lt=1, description="As for resnet50 predict, with the same default.")]

_PARAMETERS = ("top", "coverage", "refuse")  # one that is misspelled would go unnoticed

_SHORT = 1 << 17  # bytes of JSON that are read in a few milliseconds, in which others may wait
_JSON = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}
_FILE = {"type": "string", "format": "binary"}
_IMAGES = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": _FILE},
            "multipart/form-data": {"schema": {"type": "object", "additionalProperties": _FILE}},
        },
    }
}


class PredictionBody(BaseModel):
    """The prediction for one image: the fields of ``resnet50 predict --json``."""

    path: str = Field(description="The client's name for the file; - for an image that is the whole body.")
    top: list[tuple[str, float]] = Field(description="Most probable classes and their probabilities, best first.")
    error: str | None = Field(description="Why the image cannot be read; null if it can.")
    set: list[str] | None = Field(
        description="Classes of which one is right at the coverage, the most probable first; null without thresholds."
    )
    refused: bool | None = Field(
        description="Whether the image is unlike all training images; null without thresholds, or features to compare."
    )
    distance: float | None = Field(
        description="Cosine distance of its features to the nearest training images, 0..2; null as well."
    )
    model: str = Field(description="Name of the model.")
    dataset: str = Field(description="Name of the dataset that the model was trained on.")
    precision: str = Field(description="Precision of the computation.")
    coverage: float = Field(description="Share of images whose class is to be in their set.")
    refuse: float = Field(description="Share of images like the training's that may be refused.")


class ErrorBody(BaseModel):
    """Why a request has no other answer."""

    error: str = Field(description="One line: what was expected, and what was received.")


def application(
    model: ServedModel, classify: Classify, *, read: Read, ready: Ready, limits: Limits | None = None
) -> FastAPI:
    """Return the application that serves a model, for any server of ASGI.

    Args:
        model: What clients may know of the model.
        classify: Classifies the images of a request.
        read: Reads long JSON. Short JSON is read at once.
        ready: Whether it can answer now.
        limits: What a request may take; by default as `Limits` has it.
    """
    limits = limits or Limits()
    routes = _Routes(model, classify, read, ready, limits)
    app = FastAPI(
        title=f"resnet50: {model.name}",
        version=_version(),
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        responses={"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}},
    )
    app.add_middleware(LimitRequests, limits=limits)
    for kind, handler in _ERRORS.items():
        app.add_exception_handler(kind, handler)
    answers: dict[int | str, dict[str, Any]] = {200: {"model": PredictionBody | list[PredictionBody]}}
    app.add_api_route("/predict", routes.predict, methods=["POST"], openapi_extra=_IMAGES, responses=answers)
    app.add_api_route("/health", routes.health)
    app.add_api_route("/metadata", routes.metadata)
    app.add_api_route("/v2", routes.v2_server)
    app.add_api_route("/v2/health/live", routes.v2_live)
    app.add_api_route("/v2/health/ready", routes.v2_ready)
    app.add_api_route("/v2/models/{name}", routes.v2_model)
    app.add_api_route("/v2/models/{name}/ready", routes.v2_model_ready)
    app.add_api_route("/v2/models/{name}/infer", routes.v2_infer, methods=["POST"], openapi_extra=_JSON)
    return app


class _Routes:
    """What each path answers; the docstrings are those of the OpenAPI document."""

    def __init__(self, model: ServedModel, classify: Classify, read: Read, ready: Ready, limits: Limits) -> None:
        self._model, self._classify, self._read, self._ready, self._limits = model, classify, read, ready, limits

    async def predict(
        self,
        request: Request,
        top: Annotated[int, Query(ge=1, description="Classes to name for each image.")] = 3,
        coverage: _Share = None,
        refuse: _Share = None,
    ) -> JSONResponse:
        """Classify an image, the body, or each file of a form. 422 if no image can be read."""
        if not set(request.query_params) <= set(_PARAMETERS):
            raise RequestError(400, f"expected no other parameters than {', '.join(_PARAMETERS)}, got one.")
        images = await read_images(request, self._limits)
        rows = await self._rows([image.content for image in images], Shares(coverage, refuse))
        about = {
            "model": self._model.name,
            "dataset": self._model.dataset,
            "precision": self._model.precision,
            "coverage": coverage or COVERAGE,
            "refuse": refuse or REFUSE,
        }
        predictions = [
            {"path": image.name, **self._prediction(row, top).fields(), **about}
            for image, row in zip(images, rows, strict=True)
        ]
        status = 422 if all(isinstance(row, str) for row in rows) else 200
        return JSONResponse(predictions if is_form(request) else predictions[0], status)

    def _prediction(self, row: Row, top: int) -> Prediction:
        if isinstance(row, str):
            return Prediction(0, None, (), row)
        return Prediction.of(0, None, row.probabilities, self._model.class_names, top=top, doubt=row.doubt)

    async def health(self) -> JSONResponse:
        """Say whether images can be classified now; 503 if not."""
        ready = await self._ready()
        return JSONResponse({"status": "ready" if ready else "not ready"}, 200 if ready else 503)

    async def metadata(self) -> JSONResponse:
        """Describe the model and the limits of a request."""
        limits = {"seconds": self._limits.seconds, "bytes": self._limits.body_bytes, "images": self._limits.images}
        return JSONResponse({**self._model.to_dict(), "version": _version(), "limits": limits})

    async def v2_server(self) -> JSONResponse:
        """Describe the server (Open Inference Protocol)."""
        return JSONResponse({"name": "resnet50", "version": _version(), "extensions": []})

    async def v2_live(self) -> JSONResponse:
        """Say that the server runs (Open Inference Protocol)."""
        return JSONResponse({"live": True})

    async def v2_ready(self) -> JSONResponse:
        """Say whether the server is ready; 503 if not (Open Inference Protocol)."""
        ready = await self._ready()
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    async def v2_model(self, name: str) -> JSONResponse:
        """Describe the model (Open Inference Protocol)."""
        self._check_name(name)
        return JSONResponse(model_metadata(self._model))

    async def v2_model_ready(self, name: str) -> JSONResponse:
        """Say whether the model is ready; 503 if not (Open Inference Protocol)."""
        self._check_name(name)
        ready = await self._ready()
        return JSONResponse({"name": self._model.name, "ready": ready}, 200 if ready else 503)

    async def v2_infer(self, request: Request, name: str) -> JSONResponse:
        """Classify a tensor of pixels or of encoded images (Open Inference Protocol)."""
        self._check_name(name)
        if "inference-header-content-length" in request.headers:
            raise RequestError(400, "expected tensors in JSON, got the binary extension; turn binary data off.")
        body = await request.body()
        if len(body) <= _SHORT:
            asked = read_request(body, self._model, most_images=self._limits.images)
        else:
            asked = await self._in_time(self._read(body))
        rows = await self._rows(asked.images)
        for number, row in enumerate(rows):
            if isinstance(row, str):
                raise RequestError(422, f"image {number} of {len(rows)}: {row}")
        return JSONResponse(respond(self._model, asked, [row.probabilities for row in rows if isinstance(row, Answer)]))

    async def _rows(self, images: Sequence[Image], shares: Shares | None = None) -> Sequence[Row]:
        return await self._in_time(self._classify(images, shares))

    async def _in_time(self, answer: Awaitable[Awaited]) -> Awaited:
        seconds = self._limits.seconds
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise RequestError(504, f"expected an answer within {seconds:g} s, got none; ask again later.") from None

    def _check_name(self, name: str) -> None:
        if name != self._model.name:
            raise RequestError(404, f"expected the model {self._model.name}, got another name.")


async def _refused(_: Request, error: Exception) -> JSONResponse:
    return refusal(error) if isinstance(error, RequestError) else await _failed(_, error)


async def _no_route(_: Request, error: Exception) -> JSONResponse:
    status, headers = getattr(error, "status_code", 404), getattr(error, "headers", None)
    got = {404: "another path", 405: "another method for this path"}.get(status)
    message = f"expected a request as /openapi.json describes them, got {got}." if got else getattr(error, "detail", "")
    return JSONResponse({"error": str(message)}, status, headers)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Name the first parameter that is wrong; FastAPI's own answer would repeat its value."""
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": ""}
    return JSONResponse({"error": f"{' '.join(map(str, first['loc']))}: {first['msg']}."}, 400)


async def _failed(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": "internal error; the log of the server has more."}, 500)


_ERRORS: dict[type[Exception], Callable[[Request, Exception], Awaitable[JSONResponse]]] = {
    RequestError: _refused,
    HTTPException: _no_route,
    RequestValidationError: _invalid,
    Exception: _failed,
}


def _version() -> str:
    try:
        return version("resnet50")
    except PackageNotFoundError:  # from a folder that is not installed
        return "unknown"
