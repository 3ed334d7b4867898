"""The classifier called for one image after the other, without HTTP, for ``serving.py``."""

from __future__ import annotations

import argparse
import json
import sys
import time

from serving_clients import Answers, photos

from resnet50.inference.classifier import Classifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    images = photos(8)
    classifier = Classifier.load(options.model)
    classifier.predict(images[0])
    print("ready", flush=True)
    answers, began = Answers(), time.perf_counter()
    while time.perf_counter() - began < options.seconds:
        sent = time.perf_counter()
        classifier.predict(images[len(answers.latencies) % len(images)])
        answers.latencies.append(time.perf_counter() - sent)
    answers.seconds = time.perf_counter() - began
    print(json.dumps(answers.summary()), flush=True)
    sys.stdin.read()  # its memory is measured


if __name__ == "__main__":
    main()
