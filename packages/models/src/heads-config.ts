import type { ConfigReader } from './config-reader.ts'
import type { LayerSpec } from './spec.ts'

export interface HeadCounts {
  readonly dim: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
}

/** Width and heads under the names most configs use, with what a config that lacks them means. */
export function headCounts(c: ConfigReader, defaults: Partial<HeadCounts> = {}): HeadCounts {
  const dim = c.count('hidden_size', defaults.dim)
  const heads = c.count('num_attention_heads', defaults.heads)
  const kvHeads = c.optionalCount('num_key_value_heads', defaults.kvHeads ?? heads) ?? heads
  if (heads % kvHeads !== 0) throw c.wrong('num_key_value_heads', `a divisor of num_attention_heads (${heads})`, kvHeads)
  return {
    dim,
    heads,
    kvHeads,
    headDim: c.optionalCount('head_dim', defaults.headDim ?? Math.floor(dim / heads)) ?? Math.floor(dim / heads),
  }
}

/** Attention of heads as the variant its counts name: every query head its own key head, one for all, or groups. */
export function headsAttention(
  counts: HeadCounts,
  more: Readonly<Record<string, unknown>>,
): Pick<LayerSpec['attention'], 'variant' | 'config'> {
  const { kvHeads, ...same } = counts
  const variant = headsVariant(counts.heads, kvHeads)
  return { variant, config: { ...(variant === 'gqa' ? counts : same), ...more } }
}

/** The variant that so many query heads over so many key heads are. */
export const headsVariant = (heads: number, kvHeads: number): 'mha' | 'mqa' | 'gqa' =>
  kvHeads === heads ? 'mha' : kvHeads === 1 ? 'mqa' : 'gqa'

/** Key heads of what `headsAttention` makes. */
export function kvHeadsOf({ variant, config }: Pick<LayerSpec['attention'], 'variant' | 'config'>): number {
  const { heads, kvHeads = variant === 'mqa' ? 1 : heads } = config as Pick<HeadCounts, 'heads'> & Partial<HeadCounts>
  return kvHeads
}

/** Heads that all have keys of their own and share the width: what encoders' configs say. */
export function wholeHeads(c: ConfigReader, defaults: Pick<HeadCounts, 'dim' | 'heads'>): Omit<HeadCounts, 'kvHeads'> {
  const dim = c.count('hidden_size', defaults.dim)
  const heads = c.count('num_attention_heads', defaults.heads)
  return { dim, heads, headDim: headWidth(c, 'num_attention_heads', dim, heads) }
}

/** Width of a head where all heads together are as wide as the stream. */
export function headWidth(c: ConfigReader, key: string, dim: number, heads: number): number {
  if (dim % heads !== 0) throw c.wrong(key, `a divisor of the model's width (${dim})`, heads)
  return dim / heads
}
