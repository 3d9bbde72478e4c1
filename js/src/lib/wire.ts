// Arrays as they travel: one header and one buffer in a dict (the other side: widgets/wire.py).

export type Dtype = "u1" | "i1" | "u2" | "i2" | "u4" | "i4" | "f4";

/** What a host may hand over: Jupyter a DataView, Colab a Uint8Array, a saved page an ArrayBuffer. */
export type WireBuffer = ArrayBuffer | ArrayBufferView;

export interface Packed {
  dtype: Dtype;
  shape: number[];
  /** One number, or one per map (a map is a slice over all axes but the last). */
  scale: number | number[];
  offset: number | number[];
  curve: "raw" | "linear" | "sqrt" | "signed sqrt";
  view: WireBuffer;
}

/** An absent array is an empty dict or null. */
export type MaybePacked = Packed | Record<string, never> | null;

export type Numbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array;

const ARRAYS = {
  u1: Uint8Array,
  i1: Int8Array,
  u2: Uint16Array,
  i2: Int16Array,
  u4: Uint32Array,
  i4: Int32Array,
  f4: Float32Array,
} as const;

/** The code that means "no value" in quantised arrays, the largest that is one, and a signed 0. */
export const NO_VALUE = 255;
export const LAST_CODE = 254;
export const ZERO_CODE = 127;

export function isPacked(value: unknown): value is Packed {
  return typeof value === "object" && value !== null && "view" in value && "dtype" in value;
}

export function toBytes(buffer: WireBuffer): Uint8Array {
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer)
    : new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** An array that has arrived: codes as they are, values on demand. */
export interface Unpacked {
  shape: number[];
  /** What was in the buffer, C order. */
  codes: Numbers;
  /** Length of the last axis: how many codes make one map. */
  length: number;
  /** True when `codes` are square roots of values in 0..254, around 127 if signed (255: no value). */
  quantised: boolean;
  /** The largest value that map `map` can hold. */
  scale(map: number): number;
  value(map: number, index: number): number;
}

export function unpack(packed: Packed): Unpacked {
  const { shape, curve, dtype } = packed;
  const make = ARRAYS[dtype];
  if (make === undefined) throw new Error(`arrays of dtype ${dtype} cannot be read`);
  let bytes = toBytes(packed.view);
  const count = shape.reduce((product, n) => product * n, 1);
  const size = make.BYTES_PER_ELEMENT;
  if (bytes.byteLength !== count * size) {
    throw new Error(
      `an array of shape (${shape.join(", ")}) needs ${count * size} bytes, ${bytes.byteLength} came`,
    );
  }
  if (bytes.byteOffset % size !== 0) bytes = bytes.slice();
  const codes: Numbers = new make(bytes.buffer as ArrayBuffer, bytes.byteOffset, count);
  const length = shape.at(-1) ?? 1;
  const scale = perMap(packed.scale, 1);
  const offset = perMap(packed.offset, 0);
  const quantised = dtype === "u1" && curve !== "raw";

  function value(map: number, index: number): number {
    const code = codes[map * length + index];
    if (!quantised) return code;
    if (code === NO_VALUE) return Number.NaN;
    if (curve === "signed sqrt") {
      const root = (code - ZERO_CODE) / ZERO_CODE;
      return scale(map) * root * Math.abs(root);
    }
    const part = code / LAST_CODE;
    return offset(map) + scale(map) * (curve === "sqrt" ? part * part : part);
  }
  return { shape, codes, length, quantised: quantised && curve !== "linear", scale, value };
}

function perMap(numbers: number | number[] | undefined, otherwise: number): (i: number) => number {
  if (Array.isArray(numbers)) return (map) => numbers[map] ?? otherwise;
  return () => numbers ?? otherwise;
}
