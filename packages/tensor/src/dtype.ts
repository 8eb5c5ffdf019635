import { AttuneError } from '@attune/expr'

/** Element types a tensor's bytes may have. `bool` is one byte, 0 or 1; `f16` and `bf16` are stored as 16-bit words. */
export type DType = 'f32' | 'f16' | 'bf16' | 'i32' | 'u8' | 'bool'

/** A packed format: `block` values stored in `bytes` bytes along the last axis. A value, so a third party can bring its own. */
export interface Codec {
  readonly kind: 'codec'
  /** Name in the world, e.g. `q4_0`. */
  readonly name: string
  readonly block: number
  readonly bytes: number
  /** Decodes whole blocks: `dst.length` is a multiple of `block`, `src.length = dst.length / block * bytes`. */
  decode(src: Uint8Array, dst: Float32Array): void
  encode?(src: Float32Array, dst: Uint8Array): void
}

export type Storage = DType | Codec

const BYTES: Record<DType, number> = { f32: 4, f16: 2, bf16: 2, i32: 4, u8: 1, bool: 1 }

export const isCodec = (t: Storage): t is Codec => typeof t === 'object'
export const isFloat = (t: Storage): boolean => t === 'f32' || t === 'f16' || t === 'bf16' || isCodec(t)
export const storageName = (t: Storage): string => (isCodec(t) ? t.name : t)
export const sameStorage = (a: Storage, b: Storage): boolean => storageName(a) === storageName(b)

/** Bytes of `elements` values laid out along the last axis; a packed row must be a whole number of blocks. */
export function bytesOf(t: Storage, elements: number): number {
  if (!isCodec(t)) return BYTES[t] * elements
  if (elements % t.block !== 0)
    throw new AttuneError('ERR_SHAPE', `${t.name} stores blocks of ${t.block} values, not ${elements}`, { codec: t.name, elements })
  return (elements / t.block) * t.bytes
}

/** Bytes of one element of an unpacked type. */
export function itemBytes(t: Storage): number {
  if (isCodec(t)) throw new AttuneError('ERR_DTYPE', `${t.name} is packed: it has no single-element size`, { codec: t.name })
  return BYTES[t]
}
