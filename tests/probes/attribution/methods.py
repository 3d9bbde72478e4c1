"""Every attribution as a function of a model, an image and a target."""

import functools

import vit_widgets as vw
from vit_widgets import probes

METHODS = {
    "rollout": lambda model, x, target: probes.rollout(vw.capture(model, x)),
    "relevance": probes.relevance,
    "gradient_attention": probes.gradient_attention,
    "attention_cam": probes.attention_cam,
    "legrad": probes.legrad,
    "grad_cam": probes.grad_cam,
    "saliency": probes.saliency,
    "input_x_gradient": probes.input_x_gradient,
    "smooth_grad": functools.partial(probes.smooth_grad, samples=2),
    "integrated_gradients": functools.partial(probes.integrated_gradients, steps=2),
    "occlusion": probes.occlusion,
    "drop": functools.partial(probes.occlusion, fill="drop"),
    "transformer_attribution": probes.transformer_attribution,
    "lrp": probes.lrp,
    "attention_flow": lambda model, x, target: probes.attention_flow(vw.capture(model, x)),
    "rise": functools.partial(probes.rise, samples=2),
}
