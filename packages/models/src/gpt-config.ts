import type { ConfigReader } from './config-reader.ts'
import { headWidth } from './heads-config.ts'

/** Other words that transformers reads for the keys of GPT-2 and its kin. */
export const GPT_ALIASES = {
  hidden_size: 'n_embd',
  num_attention_heads: 'n_head',
  num_hidden_layers: 'n_layer',
  max_position_embeddings: 'n_positions',
}

export interface GptCounts {
  readonly dim: number
  readonly heads: number
  readonly layers: number
  readonly positions: number
}

/** Sizes under the words of GPT-2, and the feed-forward width: four times the stream's where the config has none. */
export function gptCounts(c: ConfigReader, defaults: GptCounts): GptCounts & { readonly headDim: number; readonly hidden: number } {
  const dim = c.count('n_embd', defaults.dim)
  const heads = c.count('n_head', defaults.heads)
  c.ignore('n_ctx', 'summary_type', 'summary_use_proj', 'summary_activation', 'summary_proj_to_labels', 'summary_first_dropout') // an older word; heads of other tasks
  c.ignore('resid_pdrop', 'embd_pdrop', 'attn_pdrop', 'embed_dropout', 'gradient_checkpointing') // training
  return {
    dim,
    heads,
    headDim: headWidth(c, 'n_head', dim, heads),
    layers: c.count('n_layer', defaults.layers),
    positions: c.count('n_positions', defaults.positions),
    hidden: c.optionalCount('n_inner', 4 * dim) ?? 4 * dim,
  }
}
