// What a page of clusters has beside a layer and a picture (Python's half:
// widgets/token_clusters.py), and what it is drawn from.
import type { None } from "./neuron";
import { segmentColour } from "./patch_features";
import { isPacked, type MaybePacked, unpack } from "./wire";

export type Clustered = "patches" | "objects";
export const VERSIONS = ["original", "shuffled", "salient", "non-salient", "random"] as const;
export type Version = (typeof VERSIONS)[number];
export type AlteredVersion = Exclude<Version, "original">;

/** Cells each way, share that is dropped, seed. */
type Settings = number[];

export type ClustersAnswer = {
  layer: number;
  image_index: number;
  clustered: Clustered;
  reach: number;
  version: Version;
  settings: Settings;
  labels: MaybePacked;
  sizes: number[];
  noise: number;
  owners: number[];
  eps: number;
  note: string;
};

export type AlteredPicture = {
  image_index: number;
  version: Version;
  settings: Settings;
  pixels: MaybePacked;
  words: string;
  note: string;
};

export type ClusterCurves = {
  image_index: number;
  clustered: Clustered;
  reach: number;
  settings: Settings;
  versions: Version[];
  values: MaybePacked;
  objects: [name: number, patches: number][];
  rest: boolean;
  guessed: boolean;
  done: number;
  total: number;
  forwards: number;
  notes: Partial<Record<Version, string>>;
  note: string;
};

export type ClusterGuess = { layer: number; image_index: number; note: string };

export type ClustersTraits = {
  clusters_of: Clustered;
  clusters_reach: number;
  clusters_version: Version;
  clusters_compared: AlteredVersion[];
  clusters_cells: number;
  clusters_dropped: number;
  clusters_seed: number;
  clusters_measuring: boolean;
  clusters: ClustersAnswer | None;
  clusters_picture: AlteredPicture | None;
  clusters_curves: ClusterCurves | None;
  clusters_guess: ClusterGuess | None;
};

export const clustersTraits: ClustersTraits = {
  clusters_of: "patches",
  clusters_reach: 1,
  clusters_version: "original",
  clusters_compared: [],
  clusters_cells: 2,
  clusters_dropped: 0.2,
  clusters_seed: 0,
  clusters_measuring: true,
  clusters: {},
  clusters_picture: {},
  clusters_curves: {},
  clusters_guess: {},
};

export const NOISE = -1;

/** Names of the versions, and colours of their curves that a colour-blind reader tells apart. */
export const VERSION: Record<Version, { text: string; colour: string }> = {
  original: { text: "original", colour: "var(--vw-accent)" },
  shuffled: { text: "patches shuffled", colour: "#d55e00" },
  salient: { text: "object dropped", colour: "#cc79a7" },
  "non-salient": { text: "others dropped", colour: "#009e73" },
  random: { text: "any dropped", colour: "#e69f00" },
};

/** The five metrics that are drawn, in the order in which they are packed. */
export const METRICS = [
  { text: "Purity", title: "patches in a cluster that is mostly of their object, of all" },
  { text: "Silhouette", title: "of the clusters, by cosine; 0 for one cluster, −1 for none" },
  { text: "In-cluster cosine", title: "mean cosine of two patches of a cluster; −1 without any" },
  { text: "In-object cosine", title: "mean cosine of two patches of an object" },
  { text: "Unique labels", title: "objects that are most of some cluster, of all" },
] as const;

/** How many pixels a patch has each way, so that noise can be hatched. */
export const DETAIL = 8;

const HATCH = 4;

/** Clusters as colours; noise hatched, and nothing where a patch takes no part: RGBA. */
export function clusterPixels(
  labels: ArrayLike<number>,
  rows: number,
  cols: number,
): Uint8ClampedArray {
  const width = cols * DETAIL;
  const pixels = new Uint8ClampedArray(rows * DETAIL * width * 4);
  for (let y = 0; y < rows * DETAIL; y++)
    for (let x = 0; x < width; x++) {
      const label = labels[Math.floor(y / DETAIL) * cols + Math.floor(x / DETAIL)];
      if (label < NOISE) continue;
      const dark = (x + y) % HATCH > 0;
      const colour =
        label === NOISE
          ? dark
            ? [24, 27, 32, 170]
            : [225, 228, 232, 150]
          : [...segmentColour(label), 255];
      pixels.set(colour, (y * width + x) * 4);
    }
  return pixels;
}

export interface Range {
  low: number;
  high: number;
}

/** 0 to 1, or −1 to 1 where something is negative: the same for all versions. */
export function rangeOf(values: Iterable<number>): Range {
  for (const value of values) if (value < 0) return { low: -1, high: 1 };
  return { low: 0, high: 1 };
}

/** The path of a curve in a box of 1 × 1, broken where a layer has no number. */
export function curvePath(values: readonly number[], { low, high }: Range): string {
  const last = Math.max(1, values.length - 1);
  let path = "";
  let broken = true;
  values.forEach((value, layer) => {
    if (Number.isNaN(value)) {
      broken = true;
      return;
    }
    const y = 1 - (value - low) / (high - low);
    path += `${broken ? "M" : "L"}${(layer / last).toFixed(4)} ${y.toFixed(4)}`;
    broken = false;
  });
  return path;
}

/** The layer that lies nearest to a share of the width. */
export function layerAt(share: number, layers: number): number {
  return Math.max(0, Math.min(layers - 1, Math.round(share * (layers - 1))));
}

/** Reads the numbers of a version and a metric, one a layer. */
export function curvesOf(answer: ClusterCurves): (version: number, metric: number) => number[] {
  if (!isPacked(answer.values)) return () => [];
  const { codes, shape } = unpack(answer.values);
  const [, metrics, layers] = shape;
  return (version, metric) =>
    Array.from(codes.subarray((version * metrics + metric) * layers).subarray(0, layers));
}

/** The purity that all patches would have in one cluster: that of the largest object. */
export function together({ objects }: ClusterCurves): number | null {
  const counts = objects.map(([, count]) => count);
  const all = counts.reduce((sum, count) => sum + count, 0);
  return all > 0 ? Math.max(...counts) / all : null;
}

/** What is compared, in words: "object 1: 29 patches · the rest: 115". */
export function objectWords({ objects, rest }: ClusterCurves): string {
  return objects
    .map(([name, count], i) => {
      const of = rest && i === objects.length - 1 ? "the rest" : `object ${name}`;
      return `${of}: ${count} ${i === 0 ? "patches" : ""}`.trim();
    })
    .join(" · ");
}
