import { ignore, type Rule, rule } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { TensorNames } from './definition.ts'
import type { EncoderHeadSpec } from './encoder-head.ts'
import type { EncoderSpec } from './encoder-spec.ts'
import { normRules, same } from './file-names.ts'
import { wholeHeads } from './heads-config.ts'

/** What BERT's descendants read of a config beyond their class. */
export interface BertBody {
  readonly dim: number
  readonly vocab: number
  readonly activation: string
  readonly norm: EncoderSpec['norm']
}

/** BERT's encoder: norms on the stream, learned positions from row `first` on, token types. Devlin et al. 2018, https://arxiv.org/abs/1810.04805 */
export function bertSpec(
  json: Readonly<Record<string, unknown>>,
  type: string,
  { vocab: words, first }: { readonly vocab: number; first(c: ConfigReader): number },
  headOf: (c: ConfigReader, body: BertBody) => EncoderHeadSpec | undefined,
): EncoderSpec {
  const c = new ConfigReader(json)
  c.ignore('hidden_dropout_prob', 'attention_probs_dropout_prob', 'classifier_dropout') // training
  c.only('tie_word_embeddings', true)
  c.only('add_cross_attention', false)
  c.only('is_decoder', false)
  c.only('position_embedding_type', 'absolute')
  // Of the pooler of an early TensorFlow release, which no model reads.
  c.ignore('directionality', 'pooler_fc_size', 'pooler_num_attention_heads', 'pooler_num_fc_layers')
  c.ignore('pooler_size_per_head', 'pooler_type', 'output_past')
  const { dim, heads, headDim } = wholeHeads(c, { dim: 768, heads: 12 })
  const norm = { kind: 'layer', eps: c.number('layer_norm_eps', 1e-12, 0), bias: true } as const
  const activation = c.activation('hidden_act', 'gelu')
  const vocab = c.count('vocab_size', words)
  const layer: EncoderSpec['layers'][number] = {
    attention: {
      variant: 'mha',
      config: { dim, heads, headDim, bias: true, outBias: true },
      position: { kind: 'none' },
      mask: { kind: 'full' },
      norm: 'stream',
    },
    mlp: { kind: 'plain', hidden: c.count('intermediate_size', 3072), bias: true, activation, norm: 'stream' },
  }
  const positions = { rows: c.count('max_position_embeddings', 512), first: first(c) }
  if (positions.first >= positions.rows) throw c.wrong('max_position_embeddings', `more than ${positions.first}`, positions.rows)
  const head = headOf(c, { dim, vocab, activation, norm })
  const spec: EncoderSpec = {
    kind: 'encoder',
    type,
    dim,
    norm,
    finalNorm: false,
    input: { kind: 'tokens', vocab, table: 'own', embed: { positions, types: c.count('type_vocab_size', 2), norm } },
    layers: new Array(c.count('num_hidden_layers', 12)).fill(layer),
    ...(head ? { head } : {}),
  }
  c.finish()
  return spec
}

/** True where the files hold a pooler, or a part of one; or there are no files to ask. */
export const hasPooler = (tensors: TensorNames | undefined, prefix: string): boolean =>
  !tensors || ['', prefix].some(at => ['weight', 'bias'].some(part => tensors.has(`${at}pooler.dense.${part}`)))

export const UNREAD = 'of a task that this class of the model has not'

/** Names of the encoder and of its pooler, which counts where the head reads it, under a prefix. */
export const bertRules = (at: string, { head }: EncoderSpec, pools = true): ReturnType<typeof ignore | typeof rule>[] => [
  same(`${at}embeddings.word_embeddings`, 'input.table'),
  same(`${at}embeddings.position_embeddings`, 'input.positions'),
  same(`${at}embeddings.token_type_embeddings`, 'input.types'),
  ...bertNormRules(`${at}embeddings.LayerNorm`, 'input.norm'),
  ignore(`${at}embeddings.position_ids`, 'counted here'),
  ...layerRules(`${at}encoder.layer.{i}`),
  ...(head?.gives === 'pooled' ? [same(`${at}pooler.dense`, 'head')] : []),
  ...(pools && head?.gives === 'logits' && head.of === 'first' ? [same(`${at}pooler.dense`, 'headMaps.0.map')] : []),
  ...['weight', 'bias'].map(x => ignore(`${at}pooler.dense.${x}`, UNREAD)),
]

const layerRules = (file: string): Rule[] => [
  ...Object.entries({ query: 'q', key: 'k', value: 'v' }).map(([theirs, own]) =>
    same(`${file}.attention.self.${theirs}`, `layers.{i}.attention.${own}`),
  ),
  same(`${file}.attention.output.dense`, 'layers.{i}.attention.o'),
  same(`${file}.intermediate.dense`, 'layers.{i}.mlp.up'),
  same(`${file}.output.dense`, 'layers.{i}.mlp.down'),
  ...bertNormRules(`${file}.attention.output.LayerNorm`, 'layers.{i}.attentionNorm'),
  ...bertNormRules(`${file}.output.LayerNorm`, 'layers.{i}.mlpNorm'),
]

/** Files that came from TensorFlow call gain and bias gamma and beta. */
export const bertNormRules = (file: string, param: string): Rule[] => [
  ...normRules(file, param),
  rule(`${file}.gamma`, `${param}.gain.weight`),
  rule(`${file}.beta`, `${param}.bias.weight`),
]
