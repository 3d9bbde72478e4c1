"""Opening a model: by name, or the one that the user already holds."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from vit_widgets.models import anatomy, preprocessing
from vit_widgets.models.images import Picture, read_images
from vit_widgets.models.preprocessing import Preprocessing, Transform


class VisionModel:
    """A vision model as it was handed over, with what is needed to ask it about pictures.

    The module is never changed: no flag is flipped for longer than a forward, no class is patched,
    no hook is left. Made by :func:`load`.

    Attributes
    ----------
    module
        The ``torch.nn.Module`` itself.
    name
        For display.
    labels
        Class names by index, or ``None``.
    notes
        Sentences on what had to be assumed about this model; shown in every view.
    lock
        Held during a forward: a module is used by one thread at a time.

    Examples
    --------
    >>> model = load("demo")
    >>> model.predict(np.zeros((144, 144, 3), np.uint8)).shape
    (1, 12)
    """

    def __init__(
        self,
        module: nn.Module,
        preprocess: Preprocessing,
        *,
        name: str,
        labels: Sequence[str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.module = module
        self.name = name
        self.labels = tuple(labels) if labels is not None else None
        self.notes = tuple(note for note in (*notes, preprocess.note) if note)
        self.lock = threading.RLock()
        self._preprocess = preprocess

    def __repr__(self) -> str:
        return f"VisionModel({self.name!r}, {type(self.module).__name__})"

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self._parameter.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights; inputs are cast to it."""
        return self._parameter.dtype

    @property
    def _parameter(self) -> torch.Tensor:
        tensors = itertools.chain(self.module.parameters(), self.module.buffers())
        return next((t for t in tensors if t.is_floating_point()), torch.zeros(()))

    def opened_with(self, transform: Transform | None, labels: Sequence[str] | None) -> VisionModel:
        """Open the same module with another transform or other labels; what is not given stays."""
        return VisionModel(
            self.module,
            preprocessing.given(transform) if transform else self._preprocess,
            name=self.name,
            labels=labels if labels is not None else self.labels,
            notes=[note for note in self.notes if note != self._preprocess.note],
        )

    def transform(self, image: object) -> torch.Tensor:
        """Preprocess one image: a float tensor (channels, height, width), on the CPU."""
        [picture] = read_images(image)
        return self._preprocessed(picture)

    def _preprocessed(self, picture: Picture) -> torch.Tensor:
        if isinstance(picture, torch.Tensor):
            return picture
        pixels = self._preprocess.transform(picture)
        if not isinstance(pixels, torch.Tensor) or pixels.ndim != 3:
            shape = getattr(pixels, "shape", type(pixels).__name__)
            msg = (
                f"the transform returned {shape!r}; it must return a float tensor "
                "(channels, height, width) for one PIL image"
            )
            raise TypeError(msg)
        return pixels

    def batch(self, images: object) -> torch.Tensor:
        """Preprocess images: a float tensor (image, channels, height, width), on the CPU.

        Parameters
        ----------
        images
            One image or a list, in any form of :func:`vit_widgets.models.read_images`.

        Raises
        ------
        ValueError
            If the images come out in different sizes, or with a number of channels that no
            convolution of the model takes.
        """
        pixels = [self._preprocessed(picture) for picture in read_images(images)]
        shapes = {tuple(image.shape) for image in pixels}
        if len(shapes) > 1:
            msg = (
                f"after preprocessing the images have different shapes, {sorted(shapes)}; "
                "pass them one by one, or a transform that brings them to one size"
            )
            raise ValueError(msg)
        stacked = torch.stack(pixels)
        channels = int(stacked.shape[1])
        if not anatomy.takes_channels(self.module, channels):
            msg = (
                f"the image has {channels} channels, and no convolution of {self.name} takes them; "
                "convert the image, or pass a transform that does"
            )
            raise ValueError(msg)
        return stacked

    def picture(self, pixels: torch.Tensor) -> np.ndarray:
        """Show what the model sees of a (channels, height, width) input: uint8 (h, w, 3)."""
        return self._preprocess.picture(pixels)

    def predict(self, images: object) -> np.ndarray:
        """Class probabilities (softmax of the logits): float32 (image, class).

        Raises
        ------
        ValueError
            If the model returns no (image, class) scores.
        """
        with self.evaluating():
            scores = anatomy.logits(self.module(self.to_device(self.batch(images))))
        if scores is None:
            msg = f"{self.name} returns no (image, class) scores, so it has no predictions"
            raise ValueError(msg)
        return scores.float().softmax(dim=-1).cpu().numpy()

    def to_device(self, pixels: torch.Tensor) -> torch.Tensor:
        """Bring a batch to the weights' device and type."""
        weights = self._parameter
        return pixels.to(weights.device, weights.dtype)

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[list[tuple[str, nn.Module]]]:
        """Hold the model in evaluation mode without gradients; every flag is put back on exit.

        Gives every part of the model with its path.

        ``no_grad`` and not ``inference_mode``: modules that cache tensors (rotary tables) would
        keep inference tensors, and the user's next training step would fail on them.
        """
        with self.lock, torch.no_grad():
            parts = anatomy.walk(self.module)
            training = [part for _, part in parts if part.training]
            for part in training:
                part.training = False
            try:
                yield parts
            finally:
                for part in training:
                    part.training = True


def load(
    model: str | nn.Module | VisionModel = "demo",
    *,
    pretrained: bool = True,
    transform: Transform | None = None,
    labels: Sequence[str] | None = None,
) -> VisionModel:
    """Open a vision model.

    Parameters
    ----------
    model
        ``"demo"`` (bundled, trained, offline), any timm architecture name, or any ``nn.Module``
        (timm, torchvision, Hugging Face, your own).
    pretrained
        For a timm name: download the trained weights (default), or use random ones.
    transform
        From a PIL image to a float tensor (channels, height, width). Default: the model's own (timm
        data config); where nothing is known a plain resize is assumed, and the view says so.
    labels
        Class names by index. Default: the model's own, where it has any.

    Returns
    -------
    VisionModel

    Raises
    ------
    ValueError
        For an unknown name, with the closest known ones.
    TypeError
        For something that is neither a name nor a module, and for traced or scripted modules.
    ConnectionError
        When the weights cannot be downloaded, with how to go on.

    Examples
    --------
    >>> load("demo").name
    'demo'
    """
    if isinstance(model, VisionModel):
        if transform is None and labels is None:
            return model
        return model.opened_with(transform, labels)
    notes: tuple[str, ...] = ()
    if isinstance(model, str):
        name = model
        module = _open_by_name(model, pretrained=pretrained)
        if not pretrained and model != "demo":
            notes = ("random weights: what it shows says nothing about images",)
    else:
        module = _checked(model)
        name = _module_name(module)
    return VisionModel(
        module,
        preprocessing.given(transform) if transform else _own_preprocessing(module),
        name=name,
        labels=labels if labels is not None else _own_labels(module),
        notes=notes,
    )


def _checked(model: object) -> nn.Module:
    if isinstance(model, torch.jit.ScriptModule):
        msg = (
            "a traced or scripted module hides its attention from Python; pass the original "
            "nn.Module that it was made from"
        )
        raise TypeError(msg)
    if not isinstance(model, nn.Module):
        msg = (
            f"an object of type {type(model).__name__} is not a model; accepted are 'demo', a timm "
            "name, or a torch.nn.Module"
        )
        raise TypeError(msg)
    # torch.compile wraps the module that Python can watch; both share their weights.
    original = getattr(model, "_orig_mod", model)
    return original if isinstance(original, nn.Module) else model


def _open_by_name(name: str, *, pretrained: bool) -> nn.Module:
    if name == "demo":
        from vit_widgets import demo

        return demo.load_module()
    import timm

    if not timm.is_model(name.split(".", maxsplit=1)[0]) and not name.startswith(
        ("hf-hub:", "hf_hub:")
    ):
        known = ["demo", *timm.list_models()]
        close = difflib.get_close_matches(name, known, n=4, cutoff=0.5)
        hint = f"; did you mean {', '.join(map(repr, close))}?" if close else ""
        msg = f"there is no model named {name!r} in timm {timm.__version__}{hint}"
        raise ValueError(msg)
    try:
        return timm.create_model(name, pretrained=pretrained).eval()
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        # huggingface_hub, requests and urllib each have their own family of OSErrors here;
        # timm itself raises RuntimeError for an architecture that has no weights.
        msg = (
            f"the trained weights of {name!r} could not be fetched ({_first_line(error)}); without "
            f"a network go on with load('demo'), load({name!r}, pretrained=False) for random "
            "weights, or load(your_module)"
        )
        raise ConnectionError(msg) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _module_name(module: nn.Module) -> str:
    config = getattr(module, "pretrained_cfg", None) or {}
    architecture = config.get("architecture") if isinstance(config, dict) else None
    return architecture or type(module).__name__


def _own_preprocessing(module: nn.Module) -> Preprocessing:
    config = getattr(module, "pretrained_cfg", None)
    if isinstance(config, dict) and config.get("input_size"):
        return preprocessing.from_timm(module)
    return preprocessing.assumed(_declared_size(module))


def _declared_size(module: nn.Module) -> tuple[int, int] | None:
    """Input size that a module or its config names (torchvision, Hugging Face, lucidrains...)."""
    for owner in (module, getattr(module, "config", None), getattr(module, "patch_embed", None)):
        for name in ("image_size", "img_size"):
            size = getattr(owner, name, None)
            if isinstance(size, int):
                return (size, size)
            if isinstance(size, (tuple, list)) and len(size) == 2:
                return (int(size[0]), int(size[1]))
    return None


def _own_labels(module: nn.Module) -> Sequence[str] | None:
    config = getattr(module, "pretrained_cfg", None)
    if isinstance(config, dict):
        if config.get("label_names"):
            return tuple(config["label_names"])
        from timm.data import ImageNetInfo, infer_imagenet_subset

        subset = infer_imagenet_subset(module)
        if subset:
            info = ImageNetInfo(subset)
            return tuple(info.index_to_description(index) for index in range(info.num_classes()))
    by_index = getattr(getattr(module, "config", None), "id2label", None)
    if isinstance(by_index, dict) and by_index:
        return tuple(str(by_index[index]) for index in sorted(by_index))
    return None
