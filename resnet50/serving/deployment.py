"""The classifier in Ray Serve: replicas that batch what comes in together, and the handle that asks them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import ray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from resnet50._io.workers import THREADS
from resnet50.data.images import fit_image
from resnet50.inference.batching import forward_array
from resnet50.inference.classifier import Classifier
from resnet50.inference.prediction import Doubt
from resnet50.serving.open_inference import InferenceRequest, read_request
from resnet50.serving.refusals import RequestError
from resnet50.serving.served_model import Answer, Image, Row, ServedModel, Shares, describe
from resnet50.uncertainty.shares import COVERAGE, REFUSE

BATCH = 16
"""Most images in one forward pass."""

_WAITING = 128  # images for each replica; more are refused


class Replica:
    """A process with the network: it decodes images, and classifies those that have come in the meantime together.

    Args:
        path: What `Classifier.load` opens.
    """

    def __init__(self, path: str) -> None:
        self._classifier = Classifier.load(path)
        self._decoding = ThreadPoolExecutor(THREADS)  # each image may take a gigabyte
        self._computing = ThreadPoolExecutor(1)

    async def classify(self, image: Image, shares: Shares | None) -> Row:
        """Return the answer for an image, or the reason why it cannot be read.

        Args:
            image: The image.
            shares: What is asked of the thresholds; None to leave them out.

        Raises:
            RequestError: With status 400, if a share is asked for that the classifier has no thresholds for.
        """
        self._check(shares)
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(self._decoding, self._fit, image)
        return pixels if isinstance(pixels, str) else await self._forward(pixels, shares)

    def _check(self, shares: Shares | None) -> None:
        if shares is None or shares == Shares():
            return
        thresholds = self._classifier.thresholds
        if thresholds is None:
            raise RequestError(400, "expected a model with thresholds for coverage or refuse, got one without.")
        if problem := thresholds.why_none(*shares, classes=len(self._classifier.class_names)):
            raise RequestError(400, problem)

    def _fit(self, image: Image) -> np.ndarray | str:
        if isinstance(image, np.ndarray):  # it has the model's size
            return image
        height, width = self._classifier.image_size
        try:
            return fit_image(image, height=height, width=width, fit=self._classifier.fit)
        except ValueError as error:
            return str(error)

    # no wait for more images: a batch is what has come while the one before it was computed
    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=0)
    async def _forward(self, images: list[np.ndarray], shares: list[Shares | None]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._computing, self._answer, np.stack(images), shares)

    def _answer(self, images: np.ndarray, shares: list[Shares | None]) -> list[Answer]:
        rows = forward_array(self._classifier.answering, images, batch_size=len(images))
        doubts = [Doubt()] * len(rows)
        for asked in set(shares):  # mostly one; together, since all reference images are compared
            if asked is not None:
                places = [k for k, each in enumerate(shares) if each == asked]
                coverage, refuse = asked.coverage or COVERAGE, asked.refuse or REFUSE
                found = self._classifier.doubts(rows[places], coverage=coverage, refuse=refuse)
                for place, doubt in zip(places, found, strict=True):
                    doubts[place] = doubt
        probabilities = rows[:, : len(self._classifier.class_names)]
        return [Answer(*each) for each in zip(probabilities, doubts, strict=True)]


class _LostReplicaError(RequestError):
    """A replica that died before it answered."""


class Replicas:
    """The replicas of a classifier, wherever they run.

    Images wait in the replicas. Those that Ray Serve holds back, it offers again after pauses of up to half a second,
    in which replicas would have nothing to do.

    Args:
        name: Name of the application in Ray Serve.
        handle: What asks them.
        most: Most images that may wait.
    """

    def __init__(self, name: str, handle: DeploymentHandle, most: int) -> None:
        self._name, self._handle, self._most = name, handle, most
        self._waiting = 0

    async def classify(self, images: Sequence[Image], shares: Shares | None = None) -> list[Row]:
        """Classify images, each by any replica.

        Args:
            images: The images.
            shares: As for `Replica.classify`.

        Raises:
            RequestError: If too many images wait already, no replica answers, or there are no thresholds for a share.
        """
        if self._waiting + len(images) > self._most:
            raise RequestError(503, "expected fewer images at a time; ask again later.")
        self._waiting += len(images)
        tasks = [asyncio.ensure_future(self._classify(image, shares)) for image in images]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            self._waiting -= len(images)
            for task in tasks:
                task.cancel()

    async def _classify(self, image: Image, shares: Shares | None) -> Row:
        try:
            return await self._ask(image, shares)
        except _LostReplicaError:  # another one gives the same answer
            return await self._ask(image, shares)

    async def _ask(self, image: Image, shares: Shares | None) -> Row:
        response = self._handle.classify.remote(image, shares)
        try:
            return await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except RayTaskError as error:  # an error in the replica, which lives
            if isinstance(error.cause, RequestError):
                raise error.cause from None
            raise
        except (RayError, DeploymentUnavailableError):
            raise _LostReplicaError(503, "expected a replica to answer, got none; ask again later.") from None

    def reader(self, model: ServedModel, *, most_images: int) -> Callable[[bytes], Awaitable[InferenceRequest]]:
        """Return what reads JSON in processes of their own: `json` lets no other thread of its process run.

        Args:
            model: The model that requests are for.
            most_images: Most images in one request.
        """
        task = ray.remote(num_cpus=0, max_retries=1)(read_request)
        room = asyncio.Semaphore(THREADS)  # what 16 MB of JSON hold may take half a gigabyte

        async def read(body: bytes) -> InferenceRequest:
            async with room:
                result = task.remote(body, model, most_images=most_images)
                try:
                    return await result
                except asyncio.CancelledError:
                    ray.cancel(result, force=True)
                    raise
                except RayTaskError as error:
                    raise error.cause from None
                except RayError:
                    raise RequestError(503, "expected a process to read it, got none; ask again later.") from None

        return read

    async def ready(self) -> bool:
        """Return whether at least one replica runs."""
        return await asyncio.to_thread(self._is_running)

    def _is_running(self) -> bool:
        try:
            deployments = serve.status().applications[self._name].deployments.values()
        except (RayError, KeyError):  # the cluster is gone, or another has deleted the application
            return False
        return any(deployment.replica_states.get("RUNNING") for deployment in deployments)


def open_model(path: str, name: str) -> ServedModel:
    """Open a model once, in a process of Ray's, so that what is wrong with it is one error, and describe it.

    Args:
        path: What `Classifier.load` opens.
        name: Name of the model in URLs and answers.

    Raises:
        ImportError: As `Classifier.load`.
        OSError: As `Classifier.load`.
        ValueError: As `Classifier.load`.
    """
    try:
        return ray.get(ray.remote(num_cpus=0)(_open_model).remote(path, name))
    except RayTaskError as error:
        raise error.cause from None


def _open_model(path: str, name: str) -> ServedModel:
    return describe(Classifier.load(path), name)


def start(path: str, *, name: str, replicas: int, threads: float) -> Replicas:
    """Start the replicas of a classifier in the Ray that this process is connected to.

    Args:
        path: What `Classifier.load` opens, on every node.
        name: Name of the application in Ray Serve.
        replicas: Number of replicas.
        threads: Processors of each.

    Raises:
        RuntimeError: If a replica does not start.
    """
    quiet = {"log_level": "ERROR", "enable_access_log": False}
    deployment = serve.deployment(Replica).options(
        num_replicas=replicas,
        ray_actor_options={"num_cpus": threads},
        max_ongoing_requests=_WAITING * replicas,  # one may have to do the work of all
        health_check_period_s=1,
        logging_config=quiet,
    )
    # its own HTTP proxy would read bodies without a limit
    serve.start(proxy_location="Disabled", logging_config=quiet)
    handle = serve.run(deployment.bind(path), name=name, route_prefix=None)
    return Replicas(name, handle, _WAITING * replicas)
