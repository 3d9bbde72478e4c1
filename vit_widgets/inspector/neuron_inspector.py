"""A page about the neurons of one model, live; and two of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets
import traitlets
from torch import nn

from vit_widgets.dataset import NeuronIndex
from vit_widgets.inspector import description, opening
from vit_widgets.inspector.atlas import Atlas
from vit_widgets.inspector.live_feature import LiveFeature
from vit_widgets.inspector.neurons import NeuronDesk
from vit_widgets.inspector.pictures import Pictures, seen
from vit_widgets.jobs import Worker
from vit_widgets.models import TokenAxis, VisionModel
from vit_widgets.models.images import Picture
from vit_widgets.models.preprocessing import Transform
from vit_widgets.widgets import NeuronPage

_SELECTION = "layer={layer}, neuron={neuron}, query={query}, image_index={image_index}"


class NeuronInspector(NeuronPage):
    """What the neurons of a model respond to, live. Made by :func:`inspect_neurons`.

    `layer` counts layers of neurons, as :attr:`ActivationCache.neurons` does.

    Attributes
    ----------
    model
        The model that is looked into.
    index
        What was scanned, or ``None``.
    feature
        The image that is optimised: ``feature.start()``, ``feature.result``.

    Examples
    --------
    >>> page = inspect_neurons("demo", layer=3, neuron=17)             # doctest: +SKIP
    >>> page.neuron = 18                                               # doctest: +SKIP
    """

    def __init__(
        self,
        model: VisionModel,
        pictures: Sequence[Picture],
        names: Sequence[str],
        index: NeuronIndex | None = None,
        other: NeuronIndex | None = None,
        opened_by: str = "model",
        **view: Any,
    ) -> None:
        self.model, self.index = model, index
        self.feature: LiveFeature | None = None
        self._pictures = Pictures(model, pictures)
        self._worker = Worker(self.show_failure)
        begin = self._pictures.checked(view.get("image_index", 0))
        desk = NeuronDesk(
            self,
            model,
            self._pictures.batch,
            self._reference,
            self._worker.submit,
            index=index,
            other=other,
            first_image=begin,
        )
        about = desk.about()
        super().__init__(
            image_names=list(names),
            thumbnails=opening.strip(model, pictures),
            title=model.name,
            subtitle=description.neuron_subtitle(about["neuron_counts"], model),
            image=seen(self._pictures.captured(begin)),
            other_name="" if other is None else other.about.model,
            **{**about, **view},
        )
        self.feature = LiveFeature(self, model, self._worker, opened_by=opened_by)
        self._desk = desk
        self._atlas = Atlas(self, model, desk.site, self._worker.submit)
        desk.observe()
        self._atlas.observe()
        desk.answer()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the page has all that it asked for; ``False`` if `timeout` seconds went by."""
        return self._worker.wait(timeout)

    def close(self) -> None:
        """Stop working, forget what was captured, and close the page."""
        if self.feature is not None:
            self.feature.close()
        self._worker.cancel()
        self._pictures.forget()
        super().close()

    @traitlets.observe("image_index")
    def _image_changed(self, _change: object) -> None:
        if hasattr(self, "_desk"):
            self._worker.submit("image", self._publish_image)

    def _publish_image(self) -> None:
        index = self.image_index
        picture = seen(self._pictures.captured(index))
        if self.image_index == index:
            self.publish(image=picture)

    def _reference(self) -> TokenAxis | None:
        return self._pictures.captured(self.image_index).placement.axis


class NeuronComparison(ipywidgets.VBox):
    """Two models over the same images. Made by :func:`compare_neurons`.

    Attributes
    ----------
    first, second
        A page for each.

    Examples
    --------
    >>> both = compare_neurons(clip, deit, images, of_clip, of_deit)   # doctest: +SKIP
    >>> both.first.specific["neurons"][0]                              # doctest: +SKIP
    {'neuron': 20, 'overlap': 0.31, 'entropy': 2.7}
    """

    def __init__(self, first: NeuronInspector, second: NeuronInspector) -> None:
        self.first, self.second = first, second
        super().__init__([first, second])
        self._link = ipywidgets.link((first, "image_index"), (second, "image_index"))
        self._open = True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until both pages have all that they asked for."""
        return self.first.wait(timeout) and self.second.wait(timeout)

    def close(self) -> None:
        """Close both pages."""
        if self._open:
            self._open = False
            self._link.unlink()
            self.first.close()
            self.second.close()
        super().close()


def inspect_neurons(
    model: str | nn.Module | VisionModel = "demo",
    images: object = None,
    index: NeuronIndex | None = None,
    *,
    transform: Transform | None = None,
    labels: Sequence[str] | None = None,
    **view: Any,
) -> NeuronInspector:
    """Ask what single neurons of a model respond to.

    Parameters
    ----------
    model
        ``"demo"``, a timm name, any ``nn.Module``, or a :class:`VisionModel`.
    images
        Where the neurons are looked at: one image or a list, as of :func:`inspect`. Default: a
        dozen of the demo's scenes.
    index
        From :func:`vit_widgets.dataset.scan` of the same model, for the images that excite each
        neuron most.
    transform, labels
        As of :func:`load`.
    **view
        Where to begin: ``layer``, ``neuron``, ``image_index``, ``query``, ``target``, and every
        other trait of :class:`NeuronInspector`.

    Returns
    -------
    NeuronInspector

    Raises
    ------
    ValueError, TypeError, FileNotFoundError, ConnectionError
        For a model or an image that cannot be opened, a model without neurons, and an index of
        a model with other layers, in a sentence. An index of other weights is shown with a note.

    Examples
    --------
    >>> index = vw.dataset.scan(net, "folder/of/images")               # doctest: +SKIP
    >>> inspect_neurons(net, "leaf.jpg", index, layer=5, neuron=1184)  # doctest: +SKIP
    """
    held = opening.opened(model, transform, labels)
    read, names = opening.pictures(held, images)
    code = opening.code(
        "inspect_neurons",
        model,
        _SELECTION,
        images=images,
        index=index,
        transform=transform,
        labels=labels,
    )
    index = opening.index_of(model, held, index)
    return NeuronInspector(
        held, read, names, index, None, opening.opened_by(model), **{"code": code, **view}
    )


def compare_neurons(
    first: str | nn.Module | VisionModel,
    second: str | nn.Module | VisionModel,
    images: object = None,
    first_index: NeuronIndex | None = None,
    second_index: NeuronIndex | None = None,
    **view: Any,
) -> NeuronComparison:
    """Look at the neurons of two models over the same images, what only one has first.

    Parameters
    ----------
    first, second
        Two models, as of :func:`inspect_neurons`.
    images
        Shown on both pages.
    first_index, second_index
        Scans of the same images by each; default: none, and then nothing is said about which
        neurons only one has.
    **view
        For both pages: ``layer``, ``image_index``, …

    Returns
    -------
    NeuronComparison

    Raises
    ------
    ValueError
        As of :func:`inspect_neurons`, and for scans of different images.

    Notes
    -----
    Ghiasi et al. 2022, section 4: features of CLIP beside those of ImageNet models. How specific a
    neuron is, see :func:`vit_widgets.dataset.most_specific`.

    Examples
    --------
    >>> compare_neurons(clip, deit, "leaf.jpg", of_clip, of_deit)      # doctest: +SKIP
    """
    pages = []
    both = ((first, first_index, second_index), (second, second_index, first_index))
    for model, index, other in both:
        held = opening.opened(model)
        read, names = opening.pictures(held, images)
        pages.append(
            NeuronInspector(held, read, names, index, other, opening.opened_by(model), **view)
        )
    return NeuronComparison(*pages)
