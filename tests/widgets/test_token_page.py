"""What all pages about tokens share: the lines that make their view again."""

import re

import pytest
import traitlets

from vit_widgets.widgets.explained import Explained
from vit_widgets.widgets.head_dashboard import HeadPairs
from vit_widgets.widgets.inspector_page import TOKEN_TABS
from vit_widgets.widgets.token_page import TokenPage
from vit_widgets.widgets.traits import Answer

NO_SETTING = {
    "scatter_methods": "what can be chosen",
    "scatter_selected": "points of one layout, too many to write down",
    "scatter_going": "what runs",
    "clusters_measuring": "what runs",
    "heads_running": "what runs",
    "explained_classes": "names that the model has",
    "attribution_running": "what runs",
    "heads": "those of heads_selected in the layer in view",
}
OTHER_VALUES = {
    traitlets.Bool: lambda trait: not trait.default_value,
    traitlets.Int: lambda trait: (trait.default_value or 0) + 1,
    traitlets.Float: lambda trait: 0.5,
    traitlets.Enum: lambda trait: [one for one in trait.values if one != trait.default_value][-1],
    traitlets.Dict: lambda trait: {"occlusion": {"fill": "blur"}},
    Explained: lambda trait: ("margin", 2, 1),
    HeadPairs: lambda trait: [[0, 1]],
    traitlets.List: lambda trait: another_list(trait._trait),
    traitlets.Unicode: lambda trait: "random",
}


def another_list(of: traitlets.TraitType) -> list[object]:
    """Give a list that is no default."""
    if isinstance(of, traitlets.Enum):
        return [of.values[-1]]
    return [3, 7] if isinstance(of, traitlets.Int) else ["random"]


def settings(page: TokenPage) -> dict[str, traitlets.TraitType]:
    """What of a page is its own and chosen by a person."""
    shared = TokenPage.class_trait_names(sync=True)
    own = {name: trait for name, trait in page.traits(sync=True).items() if name not in shared}
    return {
        name: trait
        for name, trait in own.items()
        if not (isinstance(trait, Answer) or name.startswith("_") or name in NO_SETTING)
    }


@pytest.mark.parametrize("tab", TOKEN_TABS)
def test_copied_lines_carry_every_setting_of_a_tab(tab: str):
    """Breaks when a setting is forgotten, or is written as what Python or the trait refuses."""
    page = TOKEN_TABS[tab](image_names=["a", "b", "c"])
    own = settings(page)
    assert len(own) >= 4
    for name, trait in own.items():
        kind = next(kind for kind in OTHER_VALUES if isinstance(trait, kind))
        setattr(page, name, OTHER_VALUES[kind](trait))
    lines = page.selection
    for name in own:
        value = getattr(page, name)
        lines = lines.replace("{" + name + "}", value if isinstance(value, str) else repr(value))
    assert not re.search(r"\{\w+\}", lines)
    again = eval(f"page({lines})", {"page": TOKEN_TABS[tab]})
    fresh = TOKEN_TABS[tab]()
    for name in own:
        assert getattr(again, name) == getattr(page, name), name
        assert getattr(page, name) != getattr(fresh, name), name
