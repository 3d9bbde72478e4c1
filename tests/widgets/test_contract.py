"""Both sides of the contract: the traits that Python has are the ones that the page is written for.

``python tests/widgets/test_contract.py`` writes the dump anew after a trait was changed; the front
end's tests hold its types against the same file.
"""

import json
from pathlib import Path

import vit_widgets as vw

DUMP = Path(__file__).parents[2] / "js" / "tests" / "fixtures" / "traits.json"
WIDGETS = (
    vw.LayerSlider,
    vw.HeadDashboard,
    vw.HeadGrid,
    vw.PatchOverlay,
    vw.FeatureCanvas,
    vw.NeuronPage,
    vw.PatchFeatures,
    vw.TokenViews,
    vw.TokenClusters,
    vw.TokenDepth,
    vw.TokenScatter,
    vw.CompareMaps,
    vw.Attributions,
    vw.InspectorPage,
)
OF_IPYWIDGETS = {"layout", "tabbable", "tooltip"}


def traits() -> str:
    """Every synced trait of every widget with its default, as JSON."""
    dump = {}
    for widget in WIDGETS:
        state = widget().get_state()
        own = {name for name in state if not name.startswith("_")} - OF_IPYWIDGETS
        dump[widget.__name__] = {name: state[name] for name in sorted(own)}
    return json.dumps(dump, indent=2, ensure_ascii=False) + "\n"


def test_the_dump_that_the_front_end_is_tested_against_is_current():
    """Breaks when a trait is added, renamed or gets another default on one side only."""
    assert DUMP.read_text(encoding="utf-8") == traits(), f"run: python {Path(__file__).name}"


def test_the_inspector_page_adds_to_its_components_and_changes_nothing():
    """Breaks when a name means another thing inside the Inspector than in a component alone."""
    dump = json.loads(traits())
    page = dump.pop("InspectorPage")
    del dump["CompareMaps"]
    del dump["FeatureCanvas"]  # no part of the Inspector's page yet
    for component in dump.values():
        assert component.items() <= page.items()


if __name__ == "__main__":
    DUMP.parent.mkdir(parents=True, exist_ok=True)
    DUMP.write_text(traits(), encoding="utf-8")
