"""Opening a model: by name, or the one that the user already holds."""

from __future__ import annotations

import contextlib
import copy
import difflib
import functools
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.parameter import is_lazy

from vit_widgets.models import anatomy, calling, declared, preprocessing
from vit_widgets.models.calling import Forward
from vit_widgets.models.images import Picture, read_images
from vit_widgets.models.normalization import Normalization, normalization_of
from vit_widgets.models.preprocessing import Preprocessing, Transform
from vit_widgets.models.towers import image_tower
from vit_widgets.models.video import Clip, clip_of, read_videos

Attends = Callable[..., Any]
"""From a module and the inputs of its forward to (q, k), or to weights (..., query, key)."""


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
    clip
        What videos it takes; ``None`` for a model of images.
    forward, attention, grid
        As given to :func:`load`, or ``None``.
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
        forward: Forward | None = None,
        attention: Mapping[type[nn.Module] | str, Attends] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> None:
        self.module = module
        self.name = name
        self.labels = tuple(labels) if labels is not None else None
        self.notes = tuple(note for note in (*notes, preprocess.note) if note)
        self.forward = _checked_forward(forward)
        self.attention = _checked_attention(attention, module)
        self.grid = _checked_grid(grid)
        self.clip = clip_of(module)
        self.lock = threading.RLock()
        self._preprocess = preprocess
        self._own_forward = calling.own_forward(module)

    def __repr__(self) -> str:
        return f"VisionModel({self.name!r}, {type(self.module).__name__})"

    def __deepcopy__(self, memo: dict[int, Any]) -> VisionModel:
        """Open a copy of the module as this one was; the lock and what was found are not shared."""
        return VisionModel(
            copy.deepcopy(self.module, memo),
            self._preprocess,
            name=self.name,
            labels=self.labels,
            notes=[note for note in self.notes if note != self._preprocess.note],
            forward=self.forward,
            attention=self.attention,
            grid=self.grid,
        )

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

    def opened_with(
        self,
        transform: Transform | None = None,
        labels: Sequence[str] | None = None,
        forward: Forward | None = None,
        attention: Mapping[type[nn.Module] | str, Attends] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> VisionModel:
        """Open the same module with something else of :func:`load`; what is not given stays."""
        opened = VisionModel(
            self.module,
            preprocessing.given(transform) if transform else self._preprocess,
            name=self.name,
            labels=labels if labels is not None else self.labels,
            notes=[note for note in self.notes if note != self._preprocess.note],
            forward=forward or self.forward,
            attention=attention or self.attention,
            grid=grid or self.grid,
        )
        opened.lock = self.lock  # one module, used by one thread at a time
        return opened

    def run(self, batch: torch.Tensor) -> Any:
        """Call the module with a batch: the one way in which a forward is run.

        Parameters
        ----------
        batch
            From :meth:`batch`, on the weights' device and of their type (:meth:`to_device`).

        Returns
        -------
        object
            Whatever the module returns.

        Raises
        ------
        RuntimeError
            If the module fails on its own; the message says what was tried and what to pass, and
            the module's error is its cause. An error in `forward` is raised as it is.

        Examples
        --------
        >>> double = load(nn.Identity(), forward=lambda module, batch: 2 * module(batch))
        >>> double.run(torch.ones(1, 3, 2, 2)).sum()
        tensor(24.)
        """
        if self.forward is not None:
            return self.forward(self.module, batch)
        if batch.ndim == 5 and self.clip is not None:
            batch = batch.movedim(1, self.clip.frame_axis)
        try:
            return self._own_forward(self.module, batch)
        except torch.cuda.OutOfMemoryError:
            raise
        except calling.UNSUITABLE as error:
            raise RuntimeError(calling.failed(self.module, batch, error)) from error

    def logits(self, output: Any) -> torch.Tensor | None:
        """Find the (image, class) scores in what :meth:`run` returned; ``None`` without any.

        A tower or a model without its head returns features, which are not scores.
        """
        if self.forward is None and anatomy.gives_features(self.module):
            return None
        return anatomy.logits(output)

    def transform(self, image: object) -> torch.Tensor:
        """Preprocess one image: a float tensor (channels, height, width), on the CPU.

        For a model of videos one video: (frame, channels, height, width).
        """
        if self.clip is not None:
            [frames] = read_videos(image, self.clip)
            return self._stacked(frames)
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
            One image or a list, in any form of :func:`vit_widgets.models.read_images`. For a model
            of videos: in any form of :func:`vit_widgets.models.video.read_videos`; it makes a
            float tensor (video, frame, channels, height, width), and such a tensor is a
            preprocessed video for any model.

        Raises
        ------
        ValueError
            If the images come out in different sizes, or with a number of channels that no
            convolution of the model takes.
        """
        return self._stacked(self._read(images))

    def each(self, images: object) -> list[Picture]:
        """Read images or videos one by one, each in a form that :meth:`batch` takes.

        A video is preprocessed by that: float (video, frame, channels, height, width) of one video.

        Examples
        --------
        >>> [picture] = load("demo").each(np.zeros((8, 6, 3), np.uint8))
        >>> picture.size
        (6, 8)
        """
        read = self._read(images)
        return [
            one[None] if isinstance(one, torch.Tensor) and one.ndim == 4 else one for one in read
        ]

    def _read(self, images: object) -> list[Picture]:
        """Read images as pictures, and videos as float (frame, channels, height, width)."""
        is_video = isinstance(images, torch.Tensor) and images.is_floating_point()
        if self.clip is not None or (is_video and images.ndim == 5):  # type: ignore[attr-defined]
            videos = read_videos(images, self.clip or Clip(None))
            return [self._stacked(frames) for frames in videos]
        return read_images(images)

    def _stacked(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """Preprocess what is to be one tensor: images, frames, or videos already preprocessed."""
        pixels = [self._preprocessed(picture) for picture in pictures]
        shapes = {tuple(image.shape) for image in pixels}
        if len(shapes) > 1:
            msg = (
                f"after preprocessing the images have different shapes, {sorted(shapes)}; "
                "pass them one by one, or a transform that brings them to one size"
            )
            raise ValueError(msg)
        stacked = torch.stack(pixels)
        channels = int(stacked.shape[-3])
        if not anatomy.takes_channels(self.module, channels):
            msg = (
                f"the image has {channels} channels, and no convolution of {self.name} takes them; "
                "convert the image, or pass a transform that does"
            )
            raise ValueError(msg)
        return stacked

    def picture(self, pixels: torch.Tensor) -> np.ndarray:
        """Show what the model sees of a (channels, height, width) input: uint8 (h, w, 3).

        Of a video (frame, channels, height, width): uint8 (frame, h, w, 3).
        """
        return self._preprocess.picture(pixels)

    @functools.cached_property
    def input_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of what becomes of a square picture."""
        height, width = self._preprocessed(Image.new("RGB", (64, 64))).shape[-2:]
        return int(height), int(width)

    @functools.cached_property
    def _normalization(self) -> Normalization:
        return normalization_of(self._preprocess.transform)

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turn RGB pixels into a batch, so that gradients reach the pixels.

        What :meth:`transform` does to colours, on a tensor; sizes stay.

        Parameters
        ----------
        pixels
            (image, 3, height, width), in [0, 1].

        Returns
        -------
        torch.Tensor
            (image, channels, height, width), on the weights' device and of their type. For a model
            of videos a still one of each: (video, frame, channels, height, width).

        Raises
        ------
        ValueError
            If the transform is no affine function of the colours.

        Examples
        --------
        >>> load("demo").normalize(torch.ones(1, 3, 2, 2)).max()
        tensor(1.)
        """
        batch = self.to_device(self._normalization(pixels))
        if self.clip is None:
            return batch
        return batch[:, None].expand(-1, self.clip.frames or 8, -1, -1, -1)

    def predict(self, images: object) -> np.ndarray:
        """Class probabilities (softmax of the logits): float32 (image, class).

        Raises
        ------
        ValueError
            If the model returns no (image, class) scores, or NaN.
        RuntimeError
            If its forward fails, see :meth:`run`.
        """
        batch = self.to_device(self.batch(images))
        with self.evaluating():
            output = self.run(batch)
        scores = self.logits(output)
        if scores is None:
            raise ValueError(calling.no_scores(self.module, output))
        shares = scores.detach().float().softmax(dim=-1)
        if bool(shares.isnan().any()):
            raise ValueError(calling.not_finite(self.module))
        return shares.cpu().numpy()

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
    forward: Forward | None = None,
    attention: Mapping[type[nn.Module] | str, Attends] | None = None,
    grid: tuple[int, int] | None = None,
) -> VisionModel:
    """Open a vision model.

    Parameters
    ----------
    model
        ``"demo"`` (bundled, trained, offline), any timm architecture name, or any ``nn.Module``
        (timm, torchvision, Hugging Face, open_clip, your own). Of a model of images and text the
        vision tower is opened, and a note says so. A model of videos takes videos wherever images
        are named (:meth:`VisionModel.batch`).
    pretrained
        For a timm name: download the trained weights (default), or use random ones.
    transform
        From a PIL image to a float tensor (channels, height, width), or a Hugging Face image
        processor. Default: the model's own (timm data config, the defaults of the Hugging Face
        processor class); where nothing is known a plain resize is assumed. Notes say what was.
    labels
        Class names by index. Default: the model's own, where it has any.
    forward
        How to call the module, for one that needs more than the images, or another entry: a
        function of (module, batch), where batch is a float tensor (image, channels, height, width)
        of one or several images. The whole module is then opened, also one with a text tower.
    attention
        For attention that runs in a custom kernel: a mapping from the class that attends, or its
        name, to a function of (module, *inputs of its forward) that returns (q, k), each
        (..., token, feature), or the weights (..., query, key).
    grid
        (rows, cols) of patches, where the layout of the tokens cannot be found.

    Returns
    -------
    VisionModel

    Raises
    ------
    ValueError
        For an unknown name, with the closest known ones; for a module without values in its
        weights, or without an image input; for a bad `attention` or `grid`.
    TypeError
        For something that is neither a name nor a module, and for traced or scripted modules.
    ConnectionError
        When the weights cannot be downloaded, with how to go on.

    Examples
    --------
    >>> load("demo").name
    'demo'

    A model of two images, of which the second stays:

    >>> pair = nn.Bilinear(4, 4, 2)
    >>> other = torch.ones(1, 4)
    >>> model = load(
    ...     pair,
    ...     forward=lambda module, batch: module(
    ...         batch.mean((1, 2)), other.expand(len(batch), -1)
    ...     ),
    ... )
    >>> model.predict(torch.zeros(1, 3, 4, 4)).shape
    (1, 2)

    Attention in a kernel of one's own, and a grid that is not square:

    >>> block = nn.TransformerEncoderLayer(8, 2, batch_first=True)
    >>> kernel = {"MultiheadAttention": lambda module, x, *rest: (x, x)}
    >>> load(block, attention=kernel, grid=(4, 7)).grid
    (4, 7)
    """
    if isinstance(model, VisionModel):
        given = (transform, labels, forward, attention, grid)
        if all(value is None for value in given):
            return model
        return model.opened_with(*given)
    notes: tuple[str, ...] = ()
    if isinstance(model, str):
        name = model
        module = _open_by_name(model, pretrained=pretrained)
        if not pretrained and model != "demo":
            notes = ("random weights: what it shows says nothing about images",)
    else:
        module = _checked(model)
        name = declared.module_name(module)
        tower = image_tower(module) if forward is None else None
        if tower is not None:
            path, module = tower
            notes = (f"of {name} the vision tower {path!r} is opened; forward= runs the whole",)
        no_images = calling.has_no_images(module) if forward is None else ""
        if no_images:
            raise ValueError(no_images)
    return VisionModel(
        module,
        preprocessing.given(transform) if transform else declared.preprocessing_of(module),
        name=name,
        labels=labels if labels is not None else declared.labels_of(module),
        notes=notes,
        forward=forward,
        attention=attention,
        grid=grid,
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
    # torch.compile wraps the module that Python can watch; both share their weights. So do the
    # wrappers that spread a batch over devices, in threads which nobody here would see.
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    original = getattr(model, "_orig_mod", model)
    while isinstance(original, wrappers):
        original = original.module
    module = original if isinstance(original, nn.Module) else model
    return _with_values(module)


def _with_values(module: nn.Module) -> nn.Module:
    """Refuse weights that have no values yet: running them would fail, or change the module."""
    kind = type(module).__name__
    tensors: Iterator[tuple[str, Any]] = itertools.chain(
        module.named_parameters(), module.named_buffers()
    )
    for name, tensor in tensors:
        if is_lazy(tensor):
            msg = (
                f"{kind} has lazy parts without a shape yet ({name}); run it once on a batch, "
                "for example module(torch.zeros(1, 3, 224, 224)), and open it then"
            )
            raise ValueError(msg)
        if tensor.is_meta:
            msg = (
                f"the weights of {kind} lie on the meta device and have no values ({name}); give "
                'it some, for example module.to_empty(device="cpu") and '
                "module.load_state_dict(weights), or load it without offloading, and open it then"
            )
            raise ValueError(msg)
    return module


def _checked_forward(forward: Any) -> Forward | None:
    if forward is None or callable(forward):
        return forward
    msg = (
        f"forward= must be a function of (module, batch), not a {type(forward).__name__}; for "
        "example forward=lambda module, batch: module(pixel_values=batch)"
    )
    raise TypeError(msg)


def _checked_attention(
    attention: Any, module: nn.Module
) -> Mapping[type[nn.Module] | str, Attends] | None:
    if attention is None:
        return None
    if not isinstance(attention, Mapping) or not all(map(callable, attention.values())):
        msg = (
            "attention= must be a mapping from a class of module, or its name, to a function; for "
            "example attention={'Attention': lambda module, x: (module.q(x), module.k(x))}"
        )
        raise TypeError(msg)
    parts = {type(part) for _, part in anatomy.walk(module)}
    names = sorted({part.__name__ for part in parts})
    for kind in attention:
        if kind in names or (isinstance(kind, type) and any(issubclass(p, kind) for p in parts)):
            continue
        shown = kind if isinstance(kind, str) else getattr(kind, "__name__", repr(kind))
        close = difflib.get_close_matches(shown, names, n=3, cutoff=0.4) or names[:6]
        msg = (
            f"attention= names {shown!r}, and no part of {type(module).__name__} is one; its parts "
            f"are, among others, {', '.join(close)}"
        )
        raise ValueError(msg)
    return dict(attention)


def _checked_grid(grid: Any) -> tuple[int, int] | None:
    if grid is None:
        return None
    sides = tuple(grid) if isinstance(grid, (tuple, list)) else ()
    if len(sides) == 2 and all(isinstance(side, (int, np.integer)) and side > 0 for side in sides):
        return (int(sides[0]), int(sides[1]))
    msg = f"grid= must be (rows, cols), two positive whole numbers, and is {grid!r}"
    raise ValueError(msg)


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
