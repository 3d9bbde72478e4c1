"""Attributions of every family: a map, or a sentence that says why there is none."""

import numpy as np
import pytest

import vit_widgets as vw
from tests.families.test_gradients import score_of
from tests.families.tiny_models import EVERY
from tests.models.module_state import state_of
from vit_widgets.probes import ATTRIBUTIONS

FOLLOW_ATTENTION = (
    *("rollout", "attention_cam", "gradient_attention", "relevance", "legrad"),
    "transformer_attribution",
)
NOT_FROM_TOKEN_TO_TOKEN = {
    *("byoanet[halo]", "byoanet[lambda]", "coat", "coat[parallel]", "edgenext", "efficientvim"),
    *("efficientvit_mit", "mobilevit[v2]", "pvt_v2[linear]", "swiftformer", "twins[pcpvt]"),
    *("vision_transformer[difference]", "xcit", "transformers cvt", "transformers vit mae"),
}
WITHOUT_BLOCKS_IN_PLACE = {
    *("byobnet[pooled]", "transformers vit mae"),
    "mobilevit",  # its blocks are given a quarter of an image at a time
}
QUICK = {"steps": 2, "samples": 5}


@pytest.mark.parametrize("tiny", EVERY, ids=lambda tiny: tiny.name)
def test_each_attribution_maps_the_image_or_says_why_not(tiny):
    """Breaks when a family raises something else, gets a map of nothing, or is left changed."""
    module, image = tiny.model(), tiny.images()[:1]
    model = vw.load(module)
    before = state_of(module)
    for name, method in ATTRIBUTIONS.items():
        if name in ("occlusion", "rise", "attention_flow"):
            continue  # many forwards, and few tokens only: no family of models is special to them
        known = {one.name for one in method.settings}
        settings = {key: value for key, value in QUICK.items() if key in known}
        follows = name in FOLLOW_ATTENTION and tiny.name in NOT_FROM_TOKEN_TO_TOKEN
        unplaced = name == "grad_cam" and tiny.name in WITHOUT_BLOCKS_IN_PLACE
        if follows or unplaced:
            says = "no attention of .* goes from token to token" if follows else "no default layer"
            with pytest.raises(ValueError, match=says):
                method(model, image, score_of, **settings)
        else:
            found = method(model, image, score_of, **settings)
            assert np.isfinite(found.values).all(), name
            assert found.upsampled().shape == tuple(image.shape[-2:]), name
    assert state_of(module) == before
