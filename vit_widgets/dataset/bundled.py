"""The scan that comes with the bundled model, so that its first look at a neuron needs no wait.

``python -m vit_widgets.dataset.bundled`` makes it again.
"""

from __future__ import annotations

from vit_widgets.dataset.index import NeuronIndex
from vit_widgets.dataset.scan import scan
from vit_widgets.demo import NEURONS, SceneSet
from vit_widgets.models import VisionModel

SCENES = SceneSet(2400, seed=40_000, background="independent")
"""What was scanned: scenes that were in no training run, whose background says nothing."""


def bundled_index(model: VisionModel | str = "demo") -> NeuronIndex:
    """Open the scan of the bundled model over 2400 scenes.

    Returns
    -------
    NeuronIndex
        With 12 top images of each neuron and a sample of 128.

    Examples
    --------
    >>> bundled_index().images
    2400
    """
    return NeuronIndex.load(NEURONS, model=model, dataset=SCENES)


def main() -> None:
    """Scan, and put the file where the package looks for it."""
    scan("demo", SCENES, k=12, sample=128).save(NEURONS)


if __name__ == "__main__":
    main()
