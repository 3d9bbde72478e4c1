"""Whether patches form groups, and whether these are objects: painted, and against depth."""

from __future__ import annotations

import numpy as np
import traitlets
from PIL import Image

from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.token_mask import TokenMask
from vit_widgets.widgets.traits import Answer, floats, pixels
from vit_widgets.widgets.wire import unpack

VERSIONS = ("original", "shuffled", "salient", "non-salient", "random")
"""The image as it is, its patches in another order, and patches of it dropped: those of the
object, the others, any."""

# Okabe and Ito's colours, as the page has them (js/src/lib/patch_features.ts)
_COLOURS = np.array(
    [
        (0, 114, 178),
        (230, 159, 0),
        (0, 158, 115),
        (204, 121, 167),
        (86, 180, 233),
        (213, 94, 0),
        (240, 228, 66),
        (150, 150, 150),
    ]
)
_NOISE = (24, 27, 32)


class TokenClusters(TokenMask):
    """Clusters of the patches of one layer, and how they change with depth; it asks no model.

    Attributes
    ----------
    clusters_of : str
        What is clustered: ``"patches"``, all of them, or ``"objects"``, those of objects.
    clusters_reach : float
        How far neighbours may lie apart, as a multiple of the distance that is each layer's own.
    clusters_version : str
        Which of `VERSIONS` is painted.
    clusters_compared : list of str
        Altered versions whose curves are drawn beside those of the image as it is.
    clusters_cells : int
        Cells each way of the shuffled version.
    clusters_dropped : float
        Share of the patches that is dropped, of those that can be.
    clusters_seed : int
        Of the order of the cells, and of the choice of what is dropped.
    clusters_measuring : bool
        Whether curves are measured; ``False`` keeps what there is, and measures no more.
    clusters : dict
        What is painted: ``{layer, image_index, clustered, reach, version, settings, labels, sizes,
        noise, owners, eps, note}``. `labels` (row, col), whole numbers: 0 the largest cluster, -1
        noise, -2 a patch that takes no part; `sizes` patches of each cluster; `owners` its most
        frequent object, where they are known; `settings` cells, share and seed.
    clusters_picture : dict
        An altered version, as the model takes it: ``{image_index, version, settings, pixels, words,
        note}``, `pixels` uint8 (1, row, col, 3).
    clusters_curves : dict
        ``{image_index, clustered, reach, settings, versions, values, objects, rest, guessed, done,
        total, forwards, notes, note}``. `values` float (version, metric, layer), the metrics in the
        order of :data:`vit_widgets.probes.cluster_metrics.METRICS`, NaN for what is not known
        (yet); `objects` number and patches of each; `rest` whether the last of them is all that is
        not marked; `guessed` whether they are TokenCut's; `notes` what is said of a version, by its
        name.
    clusters_guess : dict
        ``{layer, image_index, note}``: the page asks for an object from TokenCut at this layer;
        `note` says why there is none.

    Notes
    -----
    Other attributes are those of :class:`~vit_widgets.widgets.token_mask.TokenMask`.

    Examples
    --------
    >>> page = TokenClusters(layer_labels=["block 0"], image=np.zeros((64, 64, 3), np.uint8))
    >>> page.clusters = {"layer": 0, "image_index": 0, "labels": np.arange(4).reshape(2, 2)}
    >>> page.picture().size
    (64, 64)
    """

    _esm = STATIC / "token_clusters.js"
    _said = ("layer", "image_index", "clusters_version")
    selection = (
        'clusters_of="{clusters_of}", clusters_reach={clusters_reach}, '
        'clusters_version="{clusters_version}", clusters_compared={clusters_compared}, '
        "clusters_cells={clusters_cells}, clusters_dropped={clusters_dropped}, "
        "clusters_seed={clusters_seed}"
    )

    clusters_of = traitlets.Enum(("patches", "objects"), "patches").tag(sync=True)
    clusters_reach = traitlets.Float(1.0, min=0.1, max=3.0).tag(sync=True)
    clusters_version = traitlets.Enum(VERSIONS, "original").tag(sync=True)
    clusters_compared = traitlets.List(traitlets.Enum(VERSIONS[1:])).tag(sync=True)
    clusters_cells = traitlets.Int(2, min=1, max=64).tag(sync=True)
    clusters_dropped = traitlets.Float(0.2, min=0, max=1).tag(sync=True)
    clusters_seed = traitlets.Int(0, min=0).tag(sync=True)
    clusters_measuring = traitlets.Bool(True).tag(sync=True)
    clusters = Answer(
        "Clusters of the patches.", ("layer", "image_index"),
        clustered="patches", reach=1.0, version="original", settings=[],
        labels=floats("row", "col"), sizes=[], noise=0, owners=[], eps=0.0, note="",
    )  # fmt: skip
    clusters_picture = Answer(
        "An altered version of the image.", ("image_index",),
        version="original", settings=[], pixels=pixels, words="", note="",
    )  # fmt: skip
    clusters_curves = Answer(
        "What clusters have to do with objects, layer by layer.", ("image_index",),
        clustered="patches", reach=1.0, settings=[], versions=[],
        values=floats("version", "metric", "layer"),
        objects=[], rest=False, guessed=False, done=0, total=0, forwards=0, notes={}, note="",
    )  # fmt: skip
    clusters_guess = Answer(
        "An object that TokenCut is asked for.", ("layer", "image_index"), note=""
    )

    def picture(self) -> Image.Image | None:
        """Draw the clusters over the version that is painted."""
        if not self.clusters.get("labels"):
            return None
        altered = self.clusters_picture.get("pixels") if self.clusters_version != "original" else {}
        under = unpack(altered)[0] if altered else self.image and unpack(self.image)
        if not isinstance(under, np.ndarray):
            return None
        labels = unpack(self.clusters["labels"]).astype(int)
        colours = _COLOURS[labels % len(_COLOURS)]
        colours[labels == -1] = _NOISE
        shade = np.dstack([colours, np.where(labels >= -1, 255 * self.opacity, 0)]).astype(np.uint8)
        axis = self.token_layer and self.token_layer["axis"]
        height, width = under.shape[:2]
        top, left, bottom, right = axis["box"] if axis else (0, 0, 1, 1)
        size = (round((right - left) * width), round((bottom - top) * height))
        cells = Image.fromarray(shade).resize(size, Image.Resampling.NEAREST)
        picture = Image.fromarray(under).convert("RGBA")
        laid = Image.new("RGBA", picture.size)
        laid.paste(cells, (round(left * width), round(top * height)))
        return Image.alpha_composite(picture, laid).convert("RGB")
