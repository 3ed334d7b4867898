"""The page in Gradio: one image with its reasons, or many with a table."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resnet50._io.text import plural, printable
from resnet50.app.answers import answer, answer_many, verdict
from resnet50.app.offline import import_gradio
from resnet50.app.training import RunImages
from resnet50.inference.classifier import Classifier
from resnet50.inference.prediction import Prediction
from resnet50.inference.prediction_table import write_table

MOST_FILES = 200
"""Most images at a time."""

STYLE = """
.grid-wrap { min-height: 0 !important; max-height: none !important; padding-top: 2.5rem !important }
.grid-wrap .caption-label { max-width: calc(100% - 2 * var(--block-label-margin)); white-space: normal !important }
@media (max-width: 480px) { #answers .grid-container { --grid-cols: 2 !important } }
#fitted .image-container, #evidence .image-container { padding-top: 2rem }
"""
"""Further CSS of the page: labels beside what they label, and no empty room below a gallery."""

_SHOWN = 5  # classes of an image
_TABLE = 3  # classes of a row


def build_page(classifier: Classifier, images: RunImages, *, folder: Path) -> Any:
    """Return the page as Gradio's ``Blocks``.

    Args:
        classifier: The classifier that answers.
        images: The images of its run.
        folder: Where tables are written.
    """
    gr = import_gradio()
    with gr.Blocks(title=_title(classifier), analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown(f"# {_plain(_title(classifier))}\n\n{_plain(_about(classifier, images))}", latex_delimiters=[])
        with gr.Tab("One image"), gr.Row():
            _add_one(gr, classifier, images)
        with gr.Tab("Many images"):
            _add_many(gr, classifier, folder)
    return page.queue(max_size=16, default_concurrency_limit=1)


def _title(classifier: Classifier) -> str:
    return f"{printable(classifier.dataset)}: {plural(len(classifier.class_names), 'class')}"


def _about(classifier: Classifier, images: RunImages) -> str:
    accuracy = classifier.metrics.get("accuracy")
    scored = f"Accuracy on the test images of its training: {accuracy:.1%}. " if accuracy is not None else ""
    return f"{scored}{printable(images.remark)}"


def _add_one(gr: Any, classifier: Classifier, images: RunImages) -> None:
    """Add the tab for one image."""
    with gr.Column(min_width=320):
        camera = gr.WebcamOptions(mirror=False, constraints={"video": {"facingMode": "environment"}})
        sources = ["upload", "clipboard", "webcam"]
        image = gr.Image(
            label="Image", sources=sources, type="filepath", webcam_options=camera, height=320, elem_id="image"
        )
        if images.examples:
            gr.Examples([[str(path)] for path in images.examples], image, cache_examples=False, label="Test images")
    with gr.Column(min_width=320):
        doubt = gr.Markdown(elem_id="doubt", latex_delimiters=[])
        classes = gr.Label(label="Classes", num_top_classes=_SHOWN, elem_id="classes")
        summary = gr.Markdown(elem_id="summary", latex_delimiters=[])
        shown = {"interactive": False, "buttons": ["fullscreen"], "format": "png"}
        with gr.Row():
            fitted = gr.Image(label="Network input", min_width=140, elem_id="fitted", **shown)
            evidence = gr.Image(label="Grad-CAM", min_width=140, elem_id="evidence", **shown)
        nearest = gr.Gallery(
            label="Most similar training images",
            columns=2,
            height="auto",
            visible=images.training is not None,
            elem_id="nearest",
            **shown,
        )

    def change(data: dict[str, Any] | None) -> tuple[Any, ...]:
        if data is None:
            return "", None, "", None, None, []
        path, name = _file(data)
        try:
            found = answer(classifier, path, images.training)
        except (ValueError, OSError) as error:
            return "", None, _plain(str(error).replace(str(path), name)), None, None, []
        similar = [(pixels, f"{each.class_name}, {each.similarity:.2f}") for pixels, each in found.nearest]
        said = _plain(verdict(found.doubt))
        said = f"**{said}**" if said else ""
        return said, dict(found.top[:_SHOWN]), _plain(found.summary), found.fitted, found.evidence, similar

    _on_change(image, change, [doubt, classes, summary, fitted, evidence, nearest])


def _add_many(gr: Any, classifier: Classifier, folder: Path) -> None:
    """Add the tab for many images."""
    files = gr.File(label=f"Up to {MOST_FILES} images", file_count="multiple", elem_id="files")
    summary = gr.Markdown(elem_id="many-summary", latex_delimiters=[])
    gallery = gr.Gallery(
        label="Answers",
        columns=4,
        fit_columns=False,
        height="auto",
        interactive=False,
        buttons=["fullscreen"],
        elem_id="answers",
    )
    download = gr.DownloadButton("Download the table (CSV)", interactive=False, elem_id="table")

    def change(data: list[dict[str, Any]] | None) -> tuple[Any, ...]:
        if not data or len(data) > MOST_FILES:
            got = f"Expected up to {MOST_FILES} images, got {len(data):,}; choose fewer." if data else ""
            return got, [], gr.DownloadButton(value=None, interactive=False)
        predictions, pixels = answer_many(classifier, [_file(each) for each in data], top=_TABLE)
        captions = (_caption(each) for each in predictions if each.top)
        table = Path(tempfile.mkdtemp(dir=folder)) / "predictions.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            write_table(file, predictions, top=min(_TABLE, len(classifier.class_names)))
        lost = len(predictions) - len(pixels)
        text = f"{plural(len(pixels), 'image')} classified" + (
            f", {lost:,} unreadable; the table says why." if lost else "."
        )
        return text, list(zip(pixels, captions, strict=True)), gr.DownloadButton(value=str(table), interactive=True)

    _on_change(files, change, [summary, gallery, download])


def _caption(prediction: Prediction) -> str:
    """Return the refusal, the classes of a set of several, or the first class with its probability."""
    if prediction.refused:
        return f"none of these ({prediction.top[0][0]}, {prediction.top[0][1]:.1%})"
    if prediction.prediction_set and len(prediction.prediction_set) > 1:
        return " or ".join(prediction.prediction_set)
    return f"{prediction.top[0][0]}, {prediction.top[0][1]:.1%}"


def _on_change(component: Any, function: Any, outputs: Sequence[Any]) -> None:
    """Call a function with what a component holds; one at a time on the whole page, since each takes all cores."""
    component.change(
        function,
        component,
        outputs,
        preprocess=False,  # Gradio's own opens the file first, and raises for one that is no image
        concurrency_id="model",
        api_visibility="private",
        show_progress="minimal",
    )


def _file(data: dict[str, Any]) -> tuple[Path, str]:
    """Return an uploaded file and the name that the visitor gave it."""
    path = Path(data["path"])
    return path, data.get("orig_name") or path.name


def _plain(text: str) -> str:
    """Return Markdown that shows a text as it is; names may hold anything."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", printable(text))
