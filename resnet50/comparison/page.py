"""The page of compared runs: scores, what differs in their recipes, paired tests and learning curves."""

from __future__ import annotations

from resnet50._io.text import duration, listed
from resnet50.comparison.compare import Comparison
from resnet50.plots.comparison import draw_comparison
from resnet50.reports.pages import page_figure, render

LISTED = 200
"""Most images on the page that the runs disagree about."""

_SEEDS = 10  # seeds that a cell names


def comparison_page(comparison: Comparison) -> str:
    """Return the page of a comparison, as HTML text: no scripts, no requests.

    Args:
        comparison: What `resnet50.compare` returns.
    """
    groups = comparison.groups
    figure = draw_comparison({group.name: [run.history for run in group.runs.runs] for group in groups})
    return render(
        "comparison.html.j2",
        comparison=comparison,
        rows=[
            {
                "group": group,
                "time": duration(group.runs.seconds),
                "seeds": listed([str(seed) for seed in group.runs.seeds], most=_SEEDS),
            }
            for group in groups
        ],
        numbers=list(dict.fromkeys(name for group in groups for name in group.changes)),
        other_seeds=len({group.runs.seeds for group in groups}) > 1,
        same=next((group.difference for group in groups[1:] if group.difference and group.difference.same), None),
        curves=page_figure(figure, "loss and accuracy by epoch"),
        listed=LISTED,
    )
