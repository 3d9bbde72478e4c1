"""The Inspector's page: all components on one store, predictions, and a tab a question."""

from __future__ import annotations

from collections.abc import Mapping

import traitlets
from PIL import Image

from vit_widgets.widgets.attributions import Attributions
from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.head_dashboard import HeadDashboard
from vit_widgets.widgets.head_grid import HeadGrid
from vit_widgets.widgets.neuron_page import NeuronPage
from vit_widgets.widgets.patch_features import PatchFeatures
from vit_widgets.widgets.patch_overlay import PatchOverlay
from vit_widgets.widgets.token_clusters import TokenClusters
from vit_widgets.widgets.token_depth import TokenDepth
from vit_widgets.widgets.token_page import TokenPage
from vit_widgets.widgets.token_scatter import TokenScatter
from vit_widgets.widgets.token_views import TokenViews

TOKEN_TABS: Mapping[str, type[TokenPage]] = {
    "features": PatchFeatures,
    "views": TokenViews,
    "scatter": TokenScatter,
    "clusters": TokenClusters,
    "depth": TokenDepth,
    "heads": HeadDashboard,
    "attribution": Attributions,
}
"""Questions about tokens, and the widget that each of them is alone."""

TABS = ("attention", "neurons", *TOKEN_TABS)


class InspectorPage(
    HeadGrid,
    PatchOverlay,
    NeuronPage,
    PatchFeatures,
    TokenViews,
    TokenScatter,
    TokenClusters,
    TokenDepth,
    HeadDashboard,
    Attributions,
):
    """All components linked, as one output; it draws what it is given and asks nothing.

    Attributes
    ----------
    predictions : list of dict
        ``{label, probability}`` of the image in view, the likeliest first.
    predictions_note : str
        Said instead of, or under, the predictions.
    tab : str
        The question that is open: ``"attention"``, ``"neurons"`` or one of `TOKEN_TABS`.
    tabs : list of str
        The questions that can be opened; empty: attention, and neurons where `neuron_counts` says
        that there are any.
    tab_code : dict
        Source of the page of a question, by its name: sent when it is first opened, so that a page
        which nobody opens costs nothing.

    Notes
    -----
    Other attributes are those of :class:`LayerSlider`, :class:`HeadGrid`, :class:`PatchOverlay`,
    :class:`NeuronPage` and of each of `TOKEN_TABS`.
    """

    _esm = STATIC / "inspector.js"
    _said = ("layer", "head", "query")

    predictions = traitlets.List(traitlets.Dict()).tag(sync=True)
    predictions_note = traitlets.Unicode("").tag(sync=True)
    tab = traitlets.Enum(TABS, "attention").tag(sync=True)
    tabs = traitlets.List(traitlets.Enum(TABS)).tag(sync=True)
    tab_code = traitlets.Dict().tag(sync=True)

    @traitlets.observe("tab")
    def _send_code(self, _change: object) -> None:
        """Send the page of a question about tokens when it is first opened."""
        if self.tab in TOKEN_TABS and self.tab not in self.tab_code:
            source = str(TOKEN_TABS[self.tab]._esm)  # the module that is the widget alone
            self.tab_code = {**self.tab_code, self.tab: source}

    def shows(self, page: type[TokenPage]) -> bool:
        """Whether the tab of that page is open."""
        return super().shows(page) and TOKEN_TABS.get(self.tab) is page

    def picture(self) -> Image.Image | None:
        """Draw what the open tab shows: the overlay with its heads, or what another tab has."""
        if self.tab == "neurons":
            return NeuronPage.picture(self)
        if self.tab in TOKEN_TABS:
            return TOKEN_TABS[self.tab].picture(self)
        left, right = PatchOverlay.picture(self), HeadGrid.picture(self)
        if left is None or right is None:
            return right or left
        sheet = Image.new(
            "RGB",
            (left.width + 16 + right.width, max(left.height, right.height)),
            (255, 255, 255),
        )
        sheet.paste(left, (0, 0))
        sheet.paste(right, (left.width + 16, 0))
        return sheet
