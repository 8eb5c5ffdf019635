import { AttuneError, bf16ToFloat, type Codec, type DType, floatToBf16, floatToHalf, halfToFloat } from '@attune/tensor'

/** Element types files may hold: those tensors compute with, and more that are only read and converted. */
export type FileDType =
  | DType
  | 'f64'
  | 'f8_e4m3'
  | 'f8_e5m2'
  | 'f8_e4m3fnuz'
  | 'f8_e5m2fnuz'
  | 'f8_e8m0'
  | 'i64'
  | 'i16'
  | 'i8'
  | 'u64'
  | 'u32'
  | 'u16'
/** How a tensor's bytes lie in a file. */
export type FileStorage = FileDType | Codec

const BYTES: Record<FileDType, number> = {
  f64: 8,
  f32: 4,
  f16: 2,
  bf16: 2,
  f8_e4m3: 1,
  f8_e5m2: 1,
  f8_e4m3fnuz: 1,
  f8_e5m2fnuz: 1,
  f8_e8m0: 1,
  i64: 8,
  i32: 4,
  i16: 2,
  i8: 1,
  u64: 8,
  u32: 4,
  u16: 2,
  u8: 1,
  bool: 1,
}

/** Values per indivisible group of bytes, and the bytes of one group. */
export const blockOf = (t: FileStorage): { block: number; bytes: number } => (typeof t === 'object' ? t : { block: 1, bytes: BYTES[t] })
export const fileBytes = (t: FileStorage, elements: number): number => (elements / blockOf(t).block) * blockOf(t).bytes

/** Converts whole groups of `bytes` to f32 (f64 and 64-bit integers are rounded). `dst.length` says how many values. */
export function decode(storage: FileStorage, bytes: Uint8Array, dst: Float32Array): void {
  if (typeof storage === 'object') storage.decode(bytes, dst)
  else DECODE[storage](bytes, dst)
}

/** Converts f32 values to `storage`, rounding to nearest, ties to even. Errors: `ERR_UNSUPPORTED` for types that are only read. */
export function encode(storage: FileStorage, src: Float32Array): Uint8Array {
  const out = new Uint8Array(fileBytes(storage, src.length))
  if (storage === 'f32') out.set(new Uint8Array(src.buffer, src.byteOffset, src.byteLength))
  else if (storage === 'f16') words(out, src, floatToHalf)
  else if (storage === 'bf16') words(out, src, floatToBf16)
  else if (typeof storage === 'object' && storage.encode) storage.encode(src, out)
  else {
    const name = typeof storage === 'object' ? storage.name : storage
    throw new AttuneError('ERR_UNSUPPORTED', `f32 values cannot be written as ${name}; write f32, f16 or bf16`, { dtype: name })
  }
  return out
}

function words(out: Uint8Array, src: Float32Array, word: (x: number) => number): void {
  const view = new Uint16Array(out.buffer)
  for (let i = 0; i < src.length; i++) view[i] = word(src[i])
}

/** A typed view of bytes, copied first where they are not aligned for it. */
function as<T>(bytes: Uint8Array, Type: { new (b: ArrayBufferLike, at: number, n: number): T; BYTES_PER_ELEMENT: number }): T {
  const size = Type.BYTES_PER_ELEMENT
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice()
  return new Type(aligned.buffer, aligned.byteOffset, aligned.length / size)
}

const numbers =
  (Type: { new (b: ArrayBufferLike, at: number, n: number): ArrayLike<number>; BYTES_PER_ELEMENT: number }) =>
  (bytes: Uint8Array, dst: Float32Array): void =>
    dst.set(as(bytes, Type))

const bigints =
  (Type: { new (b: ArrayBufferLike, at: number, n: number): ArrayLike<bigint>; BYTES_PER_ELEMENT: number }) =>
  (bytes: Uint8Array, dst: Float32Array): void => {
    const src = as(bytes, Type)
    for (let i = 0; i < dst.length; i++) dst[i] = Number(src[i])
  }

const lookup = (Type: typeof Uint16Array | typeof Uint8Array, size: number, value: (word: number) => number) => {
  let table: Float32Array | undefined
  return (bytes: Uint8Array, dst: Float32Array): void => {
    table ??= Float32Array.from({ length: size }, (_, word) => value(word))
    const src = as<Uint16Array | Uint8Array>(bytes, Type)
    for (let i = 0; i < dst.length; i++) dst[i] = table[src[i]]
  }
}

const DECODE: Record<FileDType, (bytes: Uint8Array, dst: Float32Array) => void> = {
  f64: numbers(Float64Array),
  f32: numbers(Float32Array),
  f16: lookup(Uint16Array, 65536, halfToFloat),
  bf16: lookup(Uint16Array, 65536, bf16ToFloat),
  f8_e4m3: lookup(Uint8Array, 256, e4m3),
  f8_e5m2: lookup(Uint8Array, 256, word => halfToFloat(word << 8)),
  f8_e4m3fnuz: lookup(Uint8Array, 256, fnuz(3)),
  f8_e5m2fnuz: lookup(Uint8Array, 256, fnuz(2)),
  f8_e8m0: lookup(Uint8Array, 256, word => (word === 255 ? Number.NaN : 2 ** (word - 127))),
  i64: bigints(BigInt64Array),
  i32: numbers(Int32Array),
  i16: numbers(Int16Array),
  i8: numbers(Int8Array),
  u64: bigints(BigUint64Array),
  u32: numbers(Uint32Array),
  u16: numbers(Uint16Array),
  u8: numbers(Uint8Array),
  bool: numbers(Uint8Array),
}

/** The "fn" kind of float8: no infinities, only all ones is NaN. */
function e4m3(word: number): number {
  const sign = word & 0x80 ? -1 : 1
  const exponent = (word >> 3) & 15
  const fraction = word & 7
  if (exponent === 15 && fraction === 7) return Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -9 : sign * (8 + fraction) * 2 ** (exponent - 10)
}

/** The kind of float8 without infinities and negative zero, which is its only NaN; its exponent starts one lower. */
function fnuz(fractionBits: number): (word: number) => number {
  const one = 1 << fractionBits
  const bias = 1 << (6 - fractionBits)
  return word => {
    if (word === 0x80) return Number.NaN
    const exponent = (word & 0x7f) >> fractionBits
    const fraction = word & (one - 1)
    const magnitude = exponent === 0 ? fraction * 2 ** (1 - bias) : (one + fraction) * 2 ** (exponent - bias)
    return ((word & 0x80 ? -1 : 1) * magnitude) / one
  }
}
