import { ignore, layout, type Rule, rule } from '@attune/weights'
import { ConfigReader } from './config-reader.ts'
import type { EncoderDefinition, TensorNames } from './definition.ts'
import { architectureOf, labelCount } from './encoder-class.ts'
import type { EncoderHeadSpec } from './encoder-head.ts'
import type { EncoderSpec } from './encoder-spec.ts'
import { normRules, same } from './file-names.ts'
import { headCounts } from './heads-config.ts'

const CLASSES = [
  'BertModel',
  'BertForMaskedLM',
  'BertForPreTraining',
  'BertForSequenceClassification',
  'BertForTokenClassification',
  'BertForQuestionAnswering',
] as const

/** BERT: norms on the stream, learned positions and token types. Devlin et al. 2018, https://arxiv.org/abs/1810.04805 */
export const bert: EncoderDefinition = {
  kind: 'encoder',
  type: 'bert',
  spec(json, tensors) {
    const c = new ConfigReader(json)
    c.ignore('hidden_dropout_prob', 'attention_probs_dropout_prob', 'classifier_dropout') // training
    c.only('tie_word_embeddings', true)
    c.only('add_cross_attention', false)
    c.only('is_decoder', false)
    c.only('position_embedding_type', 'absolute')
    // Of the pooler of an early TensorFlow release, which no model reads.
    c.ignore('directionality', 'pooler_fc_size', 'pooler_num_attention_heads', 'pooler_num_fc_layers')
    c.ignore('pooler_size_per_head', 'pooler_type')
    const { dim, heads, headDim } = headCounts(c, { dim: 768, heads: 12 })
    const norm = { kind: 'layer', eps: c.number('layer_norm_eps', 1e-12, 0), bias: true } as const
    const activation = c.activation('hidden_act', 'gelu')
    const vocab = c.count('vocab_size', 30522)
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
    const head = headOf(c, { dim, vocab, activation, norm }, tensors)
    const spec: EncoderSpec = {
      kind: 'encoder',
      type: 'bert',
      dim,
      norm,
      finalNorm: false,
      input: {
        kind: 'tokens',
        vocab,
        table: 'own',
        embed: { positions: { rows: c.count('max_position_embeddings', 512), first: 0 }, types: c.count('type_vocab_size', 2), norm },
      },
      layers: new Array(c.count('num_hidden_layers', 12)).fill(layer),
      ...(head ? { head } : {}),
    }
    c.finish()
    return spec
  },
  layout({ head }) {
    const unread = 'of a task that this class of the model has not'
    return layout([
      ...['bert.', ''].flatMap(at => [
        same(`${at}embeddings.word_embeddings`, 'input.table'),
        same(`${at}embeddings.position_embeddings`, 'input.positions'),
        same(`${at}embeddings.token_type_embeddings`, 'input.types'),
        ...bertNormRules(`${at}embeddings.LayerNorm`, 'input.norm'),
        ignore(`${at}embeddings.position_ids`, 'counted here'),
        ...layerRules(`${at}encoder.layer.{i}`),
        ...(head?.gives === 'pooled' ? [same(`${at}pooler.dense`, 'head')] : []),
        ...(head?.gives === 'logits' && head.of === 'first' ? [same(`${at}pooler.dense`, 'headMaps.0.map')] : []),
        ...['weight', 'bias'].map(x => ignore(`${at}pooler.dense.${x}`, unread)),
      ]),
      ...(head?.tied
        ? [
            same('cls.predictions.transform.dense', 'headMaps.0.map'),
            ...bertNormRules('cls.predictions.transform.LayerNorm', 'headMaps.0.norm'),
            rule('cls.predictions.bias', 'headBias.weight'),
          ]
        : [same('classifier', 'head'), same('qa_outputs', 'head')]),
      ...['cls.predictions.decoder.weight', 'cls.predictions.decoder.bias'].map(x => ignore(x, 'the table and bias above')),
      ...['cls.predictions.{**}', 'cls.seq_relationship.{**}'].map(x => ignore(x, unread)),
    ])
  },
}

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
const bertNormRules = (file: string, param: string): Rule[] => [
  ...normRules(file, param),
  rule(`${file}.gamma`, `${param}.gain.weight`),
  rule(`${file}.beta`, `${param}.bias.weight`),
]

/** What the class adds to the encoder. A pooler counts where the files hold one. */
function headOf(
  c: ConfigReader,
  { dim, vocab, activation, norm }: { dim: number; vocab: number; activation: string; norm: EncoderSpec['norm'] },
  tensors?: TensorNames,
): EncoderHeadSpec | undefined {
  const pooler = { size: dim, activation: 'tanh' }
  const type = architectureOf(c, CLASSES, 'BertModel')
  const labels = labelCount(c)
  switch (type) {
    case 'BertModel':
      return tensors && !tensors.has('pooler.dense.weight') && !tensors.has('bert.pooler.dense.weight')
        ? undefined
        : { gives: 'pooled', of: 'first', ...pooler }
    case 'BertForSequenceClassification':
      return { gives: 'logits', of: 'first', hidden: [pooler], size: labels }
    case 'BertForTokenClassification':
      return { gives: 'logits', of: 'tokens', size: labels }
    case 'BertForQuestionAnswering':
      return { gives: 'logits', of: 'tokens', size: 2 }
    default:
      return { gives: 'logits', of: 'tokens', hidden: [{ size: dim, activation, norm }], size: vocab, tied: true }
  }
}
