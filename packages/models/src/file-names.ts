import { ignore, type Rule, rule, stack } from '@attune/weights'

/** A parameter with a weight and perhaps a bias, under the same words in files. */
export const same = (file: string, param: string): Rule => rule(`${file}.{weight|bias}`, `${param}.{weight|bias}`)

/** Names that decoders of the Llama family share: embedding, head, norms. */
export const decoderRules = [
  same('model.embed_tokens', 'embed'),
  same('model.norm', 'norm'),
  same('lm_head', 'head'),
  ignore('lm_head.weight', 'the head is the embedding table where the config ties them'),
  same('model.layers.{i}.input_layernorm', 'layers.{i}.attentionNorm'),
  same('model.layers.{i}.post_attention_layernorm', 'layers.{i}.mlpNorm'),
]
/** Separate projections of queries, keys, values and the output. */
export const headsRules = ['q', 'k', 'v', 'o'].map(x => same(`model.layers.{i}.self_attn.${x}_proj`, `layers.{i}.attention.${x}`))
export const gatedMlpRules = ['gate', 'up', 'down'].map(x => same(`model.layers.{i}.mlp.${x}_proj`, `layers.{i}.mlp.${x}`))

/** Experts that lie in files one by one, under their words for gate, up and down. */
export const expertRules = (file: string, words: Readonly<Record<'gate' | 'up' | 'down', string>>): Rule[] =>
  Object.entries(words).map(([own, theirs]) => rule(`${file}.{e*}.${theirs}.weight`, `layers.{i}.mlp.experts.${own}.weight`, stack()))
