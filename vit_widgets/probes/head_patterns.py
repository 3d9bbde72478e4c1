"""Which heads look alike: their attention maps, projected and clustered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import nn

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.one_thread import one_thread
from vit_widgets.probes.result import Result

Method = Literal["pca", "autoencoder"]

_LATENT = 32
_SIDE = 32  # the autoencoder sees maps of so many rows and columns
_EPOCHS = 60
_BATCH = 32
_MOST = 250_000_000  # values of all maps together: 1 GB


@dataclass(frozen=True, repr=False)
class HeadPatterns(Result):
    """Maps of heads, their places in the plane and their clusters: see :func:`head_patterns`.

    Attributes
    ----------
    heads
        int (map, 3): image, layer and head of each map.
    places
        float32 (map, 2): where it lies among the others.
    labels
        int (map,): its cluster, the largest being 0.
    prototypes
        float32 (cluster, query, key): the mean of the maps of each.
    latent
        float32 (map, component): what was clustered.
    error
        Mean squared difference between the maps and what their latent values give back, as a share
        of their variance: 0 where nothing is lost, 1 where all maps would be their mean.
    axes
        Names of the axes of `values`.
    """

    heads: np.ndarray
    places: np.ndarray
    labels: np.ndarray
    prototypes: np.ndarray
    latent: np.ndarray
    error: float
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("map",)
    method: str = "head_patterns"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> np.ndarray:
        """The labels."""
        return self.labels

    def members(self, label: int) -> list[tuple[int, int]]:
        """List the heads of a cluster, (layer, head), each once."""
        found = self.heads[self.labels == label, 1:]
        return [(int(layer), int(head)) for layer, head in np.unique(found, axis=0)]

    def show(self) -> Any:
        """Draw the places of the maps, coloured by their cluster.

        Returns
        -------
        bqplot.Figure
        """
        from importlib import import_module

        return import_module("vit_widgets.plots").head_patterns(self)


def head_patterns(
    cache: ActivationCache,
    k: int = 4,
    method: Method = "pca",
    components: int = 10,
    seed: int = 0,
) -> HeadPatterns:
    """Cluster the heads of all layers and images by what their attention looks like.

    Parameters
    ----------
    cache
        What a forward left; all its images are used.
    k
        How many clusters.
    method
        ``"pca"``: principal components of the maps. ``"autoencoder"``: a small convolutional one
        that is trained on them, with 32 latent values.
    components
        How many principal components are clustered, or all where there are fewer.
    seed
        Of k-means and of the autoencoder's first weights; the same seed gives the same result.

    Returns
    -------
    HeadPatterns

    Raises
    ------
    ValueError
        For an unknown method, more clusters than maps, and a cache without maps of one size.

    Notes
    -----
    After the autoencoder of attention patterns in Li et al. 2023, "How Does Attention Work in
    Vision Transformers?". Principal components come first here: they are deterministic, and all of
    them together give the maps back. The settings of the autoencoder (three convolutions of 16, 32
    and 64 channels, Adam at 1e-3) are a free choice, not the paper's. A map is all the weights of a
    head between patches, (query, key); what prefix tokens ask and are asked is left out.

    Examples
    --------
    >>> patterns = head_patterns(cache, k=4)                           # doctest: +SKIP
    >>> patterns.members(0)                                            # doctest: +SKIP
    [(0, 1), (0, 4), (1, 2)]
    """
    if method not in get_args(Method):
        msg = f"method={method!r} is not known; it is one of {', '.join(get_args(Method))}"
        raise ValueError(msg)
    maps, heads, notes = _maps(cache)
    if not 1 <= k <= len(maps):
        msg = f"k={k} clusters of {len(maps)} maps; give 1 to {len(maps)}"
        raise ValueError(msg)
    scaled = maps * maps.shape[-1]  # even attention is 1, whatever the number of keys
    with one_thread():
        if method == "pca":
            flat = scaled.reshape(len(maps), -1)
            latent, given_back = _principal(flat, components)
            places = latent[:, :2]
        else:
            whole = torch.from_numpy(scaled)[:, None]
            small = nn.functional.interpolate(whole, (_SIDE, _SIDE), mode="area")
            flat = small.flatten(1).numpy()
            latent, given_back = _encoded(small[:, 0].numpy(), seed)
            places, _ = _principal(latent, 2)
        labels = _by_size(KMeans(k, n_init=10, random_state=seed).fit_predict(latent), k)
    lost = ((flat - given_back.reshape(flat.shape)) ** 2).sum(dtype=np.float64)
    spread = ((flat - flat.mean(axis=0)) ** 2).sum(dtype=np.float64)
    error = float(lost / spread) if spread else 0.0
    prototypes = np.stack(
        [maps[labels == one].mean(axis=0) for one in range(int(labels.max()) + 1)]
    )
    params = {"k": k, "method": method, "components": components, "seed": seed}
    return HeadPatterns(
        heads,
        places.astype(np.float32),
        labels,
        prototypes.astype(np.float32),
        latent.astype(np.float32),
        error,
        notes,
        params=params,
    )


def _maps(cache: ActivationCache) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Collect the maps between patches (map, query, key), and whose they are."""
    plain = [
        record
        for record in cache.attention
        if record.groups == 1
        and record.query_axis.grid is not None
        and record.query_axis == record.key_axis
        and record.key_axis.cells is None
    ]
    if not plain:
        msg = (
            f"no layer of {cache.model.name} attends from all patches to all patches in places "
            "that are known, so that there are no maps to compare"
        )
        raise ValueError(msg)
    same = [record for record in plain if record.query_axis == plain[0].query_axis]
    notes: tuple[str, ...] = ()
    if len(same) < len(cache.attention):
        notes = (f"{len(same)} of {len(cache.attention)} layers have maps that can be compared",)
    start = len(plain[0].key_axis.prefix)
    patches = plain[0].keys - start
    count = sum(record.images * record.heads for record in same)
    if count * patches**2 > _MOST:
        msg = (
            f"{count} maps of {patches} x {patches} take {count * patches**2 * 4 / 1e9:.1f} GB; "
            "capture fewer images"
        )
        raise ValueError(msg)
    maps = np.empty((count, patches, patches), np.float32)
    heads = np.empty((count, 3), int)
    place = 0
    for record in same:
        for image in range(record.images):
            rows = slice(place, place + record.heads)
            maps[rows] = record.weights(image=image)[:, start:, start:]
            heads[rows] = [(image, record.layer, head) for head in range(record.heads)]
            place += record.heads
    return maps, heads, notes


def _principal(flat: np.ndarray, components: int) -> tuple[np.ndarray, np.ndarray]:
    """Project on the first principal components, and back: (map, component), (map, value)."""
    found = PCA(min(components, *flat.shape), svd_solver="full").fit(flat)
    latent = found.transform(flat)
    return latent, found.inverse_transform(latent)


def _encoded(maps: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Train an autoencoder on maps (map, row, col): its latent values, and what they give back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _Autoencoder()
    pictures = torch.from_numpy(maps)[:, None]
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with torch.enable_grad():
        for _ in range(_EPOCHS):
            for rows in torch.randperm(len(pictures), generator=order).split(_BATCH):
                loss = nn.functional.mse_loss(model(pictures[rows])[1], pictures[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        latent, given_back = model(pictures)
    return latent.numpy(), given_back[:, 0].numpy()


class _Autoencoder(nn.Module):
    """Three convolutions of stride 2 to a few latent values, and the same way back."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(64 * (_SIDE // 8) ** 2, _LATENT),
        )  # fmt: skip
        self.decode = nn.Sequential(
            nn.Linear(_LATENT, 64 * (_SIDE // 8) ** 2),
            nn.Unflatten(1, (64, _SIDE // 8, _SIDE // 8)),
            nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 4, 2, 1),
        )  # fmt: skip

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Give latent values (map, value) and the maps again (map, 1, row, col)."""
        latent = self.encode(pictures)
        return latent, self.decode(latent)


def _by_size(labels: np.ndarray, k: int) -> np.ndarray:
    """Give the clusters numbers by their size, the largest first."""
    order = np.argsort(-np.bincount(labels, minlength=k), kind="stable")
    numbers = np.empty(k, int)
    numbers[order] = np.arange(k)
    return numbers[labels]
