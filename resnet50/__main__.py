"""``python -m resnet50`` is the command ``resnet50``."""

from resnet50.cli import main

main()
