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
  if (kvHeads === counts.heads) return { variant: 'mha', config: { ...same, ...more } }
  return kvHeads === 1 ? { variant: 'mqa', config: { ...same, ...more } } : { variant: 'gqa', config: { ...counts, ...more } }
}

/** Heads that all have keys of their own and share the width: what encoders' configs say. */
export function wholeHeads(c: ConfigReader, defaults: Pick<HeadCounts, 'dim' | 'heads'>): Omit<HeadCounts, 'kvHeads'> {
  const dim = c.count('hidden_size', defaults.dim)
  const heads = c.count('num_attention_heads', defaults.heads)
  if (dim % heads !== 0) throw c.wrong('num_attention_heads', `a divisor of hidden_size (${dim})`, heads)
  return { dim, heads, headDim: dim / heads }
}
