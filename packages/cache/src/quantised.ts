import { type RowsKind, rulesOf } from '@attune/attention'
import { AttuneError, bytesOf } from '@attune/tensor'
import { type LayerStates, ownRows } from './keeper.ts'
import { bucket, type CacheManager, type CacheSize } from './manager.ts'
import type { Coding } from './quantised-codes.ts'
import { pageBytes, pageRoom, QuantisedKeeper } from './quantised-keeper.ts'
import { QuantisedLayout } from './quantised-layout.ts'

export interface QuantisedOptions {
  /** Bits of a number; 4 by default. */
  readonly bits?: 4 | 8
  /** Tokens that are coded together, 32 by default. Keys share a scale per channel along them. */
  readonly group?: number
  /** Numbers of a value that share a scale, at most; 64 by default. */
  readonly along?: number
  /**
   * Turn rows by Hadamard matrices before they are coded: all of them, those with positions (`keys`), or the others (`values`, the default:
   * a scale per channel already follows keys whose channels differ, and turning them would mix these). */
  readonly rotate?: boolean | 'keys' | 'values'
  /** Code keys as they were before their rotary positions, true by default; keys that are turned otherwise are coded as they come. */
  readonly unrotate?: boolean
  /** First rows that stay as they are, 4 by default. */
  readonly sinks?: number
  /** Last rows a query sees as they are, beside those of its unfinished group; 16 by default. */
  readonly recent?: number
}
export type QuantisedSettings = Required<QuantisedOptions>

/**
 * Old rows in few bits: keys with a scale per channel and token group, values with a scale per token and `along` numbers, the first rows
 * and the unfinished group in the runner's `kv` type. What a query sees depends on rows alone, never on how tokens were cut into
 * steps. Liu et al. 2024, https://arxiv.org/abs/2402.02750; Ashkboos et al. 2024, https://arxiv.org/abs/2404.00456
 */
export function quantised(options: QuantisedOptions = {}): CacheManager {
  const settings = quantisedSettings(options)
  const { bits, rotate } = settings
  return {
    name: `int${bits}${rotate ? `, ${rotate === true ? 'all' : rotate} turned` : ''}`,
    settings: { ...settings },
    about: {
      title: 'Old rows in 8 or 4 bits',
      paper: 'https://arxiv.org/abs/2402.02750',
      oracle: 'transformers: perplexity of SmolLM2 in f32',
    },
    why(kind) {
      if (kind.kind === 'pool') return 'pooled blocks are made of rows as they were given'
      if (kind.kind !== 'rows' || kind.axis === 'memory') return undefined
      if (kind.reads.length > 0) return `packed rows are not given out ${kind.reads.join(', ')}`
      if (rulesOf(kind).quantise !== 'anywhere')
        return kind.rewritten ? 'rewritten rows would be coded anew in every step' : 'rows that leave for another state must be exact'
      return kind.width % 2 === 1 && bits === 4 ? `rows of ${kind.width} numbers do not fill bytes` : undefined
    },
    bytesFor: (layers, size) => quantisedBytes(layers, size, settings),
    open: options => new QuantisedKeeper(options, settings),
  }
}

/** Options with their defaults. Errors: `ERR_ARGUMENT`. */
export function quantisedSettings({
  bits = 4,
  group = 32,
  along = 64,
  rotate = 'values',
  unrotate = true,
  sinks = 4,
  recent = 16,
}: QuantisedOptions = {}): QuantisedSettings {
  const settings: QuantisedSettings = { bits, group, along, rotate, unrotate, sinks, recent }
  const whole = Object.entries({ group, along, sinks, recent }).find(([name, n]) => !Number.isInteger(n) || n < (name[0] === 's' || name[0] === 'r' ? 0 : 1)) // biome-ignore format: one line
  if (whole || (bits !== 4 && bits !== 8))
    throw new AttuneError('ERR_ARGUMENT', `a quantised cache cannot have ${JSON.stringify(settings)}: whole numbers, bits 4 or 8`, {
      settings,
    })
  return settings
}

function quantisedBytes(layers: readonly LayerStates[], { kv, rows }: CacheSize, settings: QuantisedSettings): number {
  const layout = new QuantisedLayout(settings)
  const groups = pageRoom(rows.reduce((n, r) => n + layout.groups(r), 0), settings.group) // biome-ignore format: one line
  const plain = layers
    .flatMap(({ spec }) => ownRows(spec))
    .reduce((n, [, { heads, width }]) => n + heads * layout.slots * bytesOf(kv, width), 0)
  return bucket(rows.length, 1) * plain + groups * pageBytes(layers, settings).reduce((n, [, bytes]) => n + bytes, 0)
}

/** Whether rows of a kind are turned. */
export const isTurned = ({ rotate }: QuantisedSettings, { rotary }: RowsKind): boolean =>
  typeof rotate === 'boolean' ? rotate : (rotate === 'keys') === (rotary !== undefined)

/** A scale per channel where rows carry positions, else per token. */
export const codingOf = ({ bits, along }: QuantisedSettings, { rotary, width }: RowsKind): Coding => {
  if (rotary) return { bits, along: 0 }
  // Two halves of a row share bytes, and each its scales.
  let n = Math.min(width, along)
  while (n < width ? (bits === 4 ? width / 2 : width) % n !== 0 : false) n--
  return { bits, along: n }
}
