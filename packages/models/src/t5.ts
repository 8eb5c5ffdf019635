import { activations, type FeedForwardSpec } from '@attune/nn'
import { AttuneError } from '@attune/tensor'
import { ignore, type Layout, layout, type Rule, rule } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { same } from './file-names.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'

/** T5 and its version 1.1 (Flan-T5). Raffel et al. 2019, https://arxiv.org/abs/1910.10683 */
export const t5: ModelDefinition = {
  type: 't5',
  spec(json, tensors) {
    const c = new ConfigReader(json)
    c.ignore('dropout_rate', 'classifier_dropout', 'initializer_factor', 'gradient_checkpointing') // training
    c.ignore('output_past') // an older word for use_cache
    known(c, 'architectures', ['T5ForConditionalGeneration', 'T5WithLMHeadModel'])
    const dim = c.count('d_model', 512)
    const heads = c.count('num_heads', 8)
    const layers = c.count('num_layers', 6)
    const decoderLayers = c.optionalCount('num_decoder_layers', layers) ?? layers
    const norm = { kind: 'rms', eps: c.number('layer_norm_epsilon', 1e-6, 0) } as const
    // Scores are not scaled: it is in the weights.
    const config = { dim, heads, headDim: c.count('d_kv', 64), scale: 1 }
    const mlp = feedForwardOf(c)
    const bias = biasOf(c, heads)
    const own = (bidirectional: boolean, layer: number, first: number): LayerSpec['attention'] => ({
      variant: 'mha',
      config,
      position: { ...bias, bidirectional, ...(layer === first ? {} : { layer: first }) },
      mask: { kind: bidirectional ? 'full' : 'causal' },
    })
    const toMemory: LayerSpec['attention'] = { variant: 'cross', config, position: { kind: 'none' }, mask: { kind: 'full' } }
    const vocab = c.count('vocab_size', 32128)
    const pad = c.number('pad_token_id', 0)
    const start = c.number('decoder_start_token_id', pad)
    if (!Number.isInteger(start) || start < 0 || start >= vocab) throw c.wrong('decoder_start_token_id', 'a token id', start)
    const tieWords = c.flag('tie_word_embeddings', true)
    // Version 1.1 does not scale. What a config says of tying is not to be trusted: a head in the files is used, as transformers does.
    const scaled = c.flag('scale_decoder_outputs', tieWords)
    const tied = tensors ? !tensors.has('lm_head.weight') : tieWords
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 't5',
      vocab,
      dim,
      norm,
      tied,
      maxPositions: c.count('n_positions', 512),
      ...(scaled ? { headScale: dim ** -0.5 } : {}),
      layersPerBlock: 2,
      layers: Array.from({ length: decoderLayers }, (_, i): LayerSpec[] => [
        { attention: own(false, 2 * i, 0), mlp: { kind: 'none' } },
        { attention: toMemory, mlp },
      ]).flat(),
      encoder: {
        kind: 'encoder',
        type: 't5',
        start,
        dim,
        norm,
        input: { kind: 'tokens', vocab, table: 'decoder' },
        layers: Array.from({ length: layers }, (_, i) => ({ attention: own(true, i, 0), mlp })),
      },
    }
    c.finish()
    return spec
  },
  layout: t5Layout,
}

/** `relu`, or `gated-` and an activation. Configs that transformers wrote repeat it in two keys, which count. */
function feedForwardOf(c: ConfigReader): FeedForwardSpec {
  const word = c.text('feed_forward_proj', 'relu')
  const [first, second, ...more] = word.split('-')
  if (more.length > 0 || (second !== undefined && first !== 'gated'))
    throw new AttuneError('ERR_UNSUPPORTED', `${c.file}: feed_forward_proj '${word}' is not supported: an activation or gated- and one`, {
      feed_forward_proj: word,
    })
  const activation = c.text('dense_act_fn', word === 'gated-gelu' ? 'gelu_new' : (second ?? first))
  if (!activations[activation])
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${c.file}: the activation '${activation}' of feed_forward_proj '${word}' is not supported (known: ${Object.keys(activations).join(', ')})`,
      { feed_forward_proj: word, dense_act_fn: activation },
    )
  const gated = c.flag('is_gated_act', first === 'gated')
  return { kind: gated ? 'gated' : 'plain', hidden: c.count('d_ff', 2048), bias: false, activation }
}

function biasOf(c: ConfigReader, heads: number) {
  const buckets = c.count('relative_attention_num_buckets', 32)
  const maxDistance = c.count('relative_attention_max_distance', 128)
  // An encoder halves the buckets and gives half of those to single distances.
  if (buckets % 2 !== 0 || buckets < 4) throw c.wrong('relative_attention_num_buckets', 'an even number of at least 4', buckets)
  if (maxDistance <= buckets / 2)
    throw c.wrong('relative_attention_max_distance', `greater than half of relative_attention_num_buckets (${buckets})`, maxDistance)
  return { kind: 't5', heads, buckets, maxDistance } as const
}

function known(c: ConfigReader, key: string, values: readonly string[]): void {
  const given = c.raw(key)
  if (given === undefined || (Array.isArray(given) && given.every(x => values.includes(x)))) return
  throw new AttuneError('ERR_UNSUPPORTED', `${c.file}: ${key} ${JSON.stringify(given)} is not supported, only ${values.join(', ')}`, {
    [key]: given,
  })
}

function t5Layout(spec: DecoderSpec): Layout {
  const attention = (file: string, param: string): Rule[] =>
    ['q', 'k', 'v', 'o'].map(x => rule(`${file}.${x}.weight`, `${param}.attention.${x}.weight`))
  const mlp = (file: string, param: string): Rule[] => [
    ...Object.entries({ wi: 'up', wi_0: 'gate', wi_1: 'up', wo: 'down' }).map(([theirs, own]) =>
      rule(`${file}.DenseReluDense.${theirs}.weight`, `${param}.mlp.${own}.weight`),
    ),
    same(`${file}.layer_norm`, `${param}.mlpNorm`),
  ]
  const self = (file: string, param: string): Rule[] => [
    ...attention(`${file}.SelfAttention`, param),
    rule(`${file}.SelfAttention.relative_attention_bias.weight`, `${param}.position.table.weight`),
    same(`${file}.layer_norm`, `${param}.attentionNorm`),
  ]
  const blocks = (spec.encoder?.layers ?? []).flatMap((_, i) => [
    ...self(`encoder.block.${i}.layer.0`, `encoder.layers.${i}`),
    ...mlp(`encoder.block.${i}.layer.1`, `encoder.layers.${i}`),
  ])
  // A block's two attentions are layers of their own.
  for (let i = 0; 2 * i < spec.layers.length; i++)
    blocks.push(
      ...self(`decoder.block.${i}.layer.0`, `layers.${2 * i}`),
      ...attention(`decoder.block.${i}.layer.1.EncDecAttention`, `layers.${2 * i + 1}`),
      same(`decoder.block.${i}.layer.1.layer_norm`, `layers.${2 * i + 1}.attentionNorm`),
      ...mlp(`decoder.block.${i}.layer.2`, `layers.${2 * i + 1}`),
    )
  return layout([
    same('shared', 'embed'),
    same('lm_head', 'head'),
    same('encoder.final_layer_norm', 'encoder.norm'),
    same('decoder.final_layer_norm', 'norm'),
    ...blocks,
    ignore('encoder.embed_tokens.weight', 'the shared table'),
    ignore('decoder.embed_tokens.weight', 'the shared table'),
    ignore('decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight', 'attention to the memory has no positions'),
  ])
}
