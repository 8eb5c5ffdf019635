import { numbersPerSequence, numbersPerToken, type StateSpec, wholeBlocks } from '@attune/attention'
import { bucket, type CacheManager, readByAll } from '@attune/cache'
import { type DecoderSpec, decoderParams, layerParams, layerStates, type Variants, variantOf } from '@attune/models'
import { countParams, idleNumbers } from '@attune/nn'
import { AttuneError, bytesOf, type Storage } from '@attune/tensor'

export interface LayerCost {
  readonly variant: string
  readonly parameters: number
  /** Bytes a token adds to the layer's cache. */
  readonly kvBytesPerToken: number
  /** Bytes of its state that do not grow with the sequence. */
  readonly bytesPerSequence: number
}
export interface Cost {
  readonly parameters: number
  readonly kvBytesPerToken: number
  readonly bytesPerSequence: number
  /** Floating-point operations to process one token with `context` tokens before it. */
  readonly flopsPerToken: number
  readonly layers: readonly LayerCost[]
}

/** What a model costs, from its Spec alone. Rows are padded to whole blocks where keys and values are packed. */
export function cost(spec: DecoderSpec, variants: Variants, { kv = 'f32' as Storage, context = 0 } = {}): Cost {
  const layers = spec.layers.map((layer): LayerCost => {
    const state = variantOf(variants, layer).state(layer.attention.config)
    return {
      variant: layer.attention.variant,
      parameters: countParams(layerParams(spec, layer, variants)),
      kvBytesPerToken: tokenBytes(state, kv),
      bytesPerSequence: bytesOf('f32', numbersPerSequence(state)),
    }
  })
  const parameters = countParams(decoderParams(spec, variants))
  const idle = spec.layers.reduce((n, l) => n + idleNumbers(l.mlp, spec.dim), 0)
  const matrices = parameters - idle - (spec.tied ? 0 : spec.vocab * spec.dim)
  const mixing = spec.layers.reduce((n, layer) => {
    const { heads, headDim } = layer.attention.config as { heads?: number; headDim?: number }
    const width = heads && headDim ? heads * headDim : numbersPerToken(variantOf(variants, layer).state(layer.attention.config)) / 2
    return n + 4 * width * (context + 1)
  }, 0)
  const total = (of: (l: LayerCost) => number) => layers.reduce((n, l) => n + of(l), 0)
  return {
    parameters,
    kvBytesPerToken: total(l => l.kvBytesPerToken),
    bytesPerSequence: total(l => l.bytesPerSequence),
    flopsPerToken: 2 * matrices + mixing,
    layers,
  }
}

/** What is kept of sequences. */
export interface KeptOptions {
  readonly kv?: Storage
  /** Slots per sequence: a whole bucket of a contiguous cache. With `cache`: rows of each sequence. */
  readonly rows?: number
  readonly batchRows?: number
  /** Slots of the memory axis. */
  readonly memory?: number
  /** How rows are kept; a contiguous cache's slots by default. */
  readonly cache?: CacheManager
  /** Most tokens of one step. */
  readonly chunk?: number
}

/**
 * Bytes allocated for the states of `batchRows` sequences that only grew: with `cache` to the byte, room for more rows included (slots by
 * doublings from 128 rows; pages in quarter steps between such doublings; coded groups with one in 64 to spare). Errors: `ERR_UNSUPPORTED` for a cache whose bytes do not follow from rows alone.
 */
export function keptBytes(
  spec: DecoderSpec,
  variants: Variants,
  { kv = 'f32', rows = 0, batchRows = 1, memory = 128, cache, chunk = 256 }: KeptOptions = {},
): number {
  if (cache && !cache.bytesFor) throw new AttuneError('ERR_UNSUPPORTED', `bytes of the ${cache.name} cache depend on what it has seen`, {})
  const layers = spec.layers.map(layer => variantOf(variants, layer).state(layer.attention.config))
  const pooled = cache ? bucket(rows) : rows
  const perSequence = layers.reduce((n, state) => {
    const kinds = Object.values(state).reduce((m, kind) => {
      if (kind.kind === 'rows' && kind.axis === 'self') return cache ? m : m + kind.heads * bytesOf(kv, kind.width) * rows
      if (kind.kind === 'rows') return m + kind.heads * bytesOf(kv, kind.width) * memory
      return kind.kind === 'pool' ? m + bytesOf('f32', kind.heads * kind.width) * Math.max(1, wholeBlocks(kind, pooled)) : m
    }, 0)
    return n + kinds + bytesOf('f32', numbersPerSequence(state))
  }, 0)
  const size = { kv, chunk, rows: new Array<number>(batchRows).fill(rows) }
  const own = cache ? cache.bytesFor!(readByAll(layerStates({ spec, variants })), size) : 0
  return own + (cache ? bucket(batchRows, 1) : batchRows) * perSequence
}

/** Bytes a token adds; a pooled block's bytes are spread over its stride. */
const tokenBytes = (state: StateSpec, kv: Storage): number =>
  Object.values(state).reduce((n, kind) => {
    if (kind.kind === 'rows' && kind.axis === 'self') return n + kind.heads * bytesOf(kv, kind.width)
    return kind.kind === 'pool' ? n + bytesOf('f32', kind.heads * kind.width) / kind.stride : n
  }, 0)
