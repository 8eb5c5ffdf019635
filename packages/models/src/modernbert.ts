import { ignore, layout, rule, split } from '@attune/weights'
import { UNREAD } from './bert-family.ts'
import { ConfigReader } from './config-reader.ts'
import type { EncoderDefinition } from './definition.ts'
import { architectureOf, labelCount } from './encoder-class.ts'
import type { EncoderHeadSpec } from './encoder-head.ts'
import type { EncoderSpec } from './encoder-spec.ts'
import { normRules, same } from './file-names.ts'
import { wholeHeads } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'

const CLASSES = [
  'ModernBertModel',
  'ModernBertForMaskedLM',
  'ModernBertForSequenceClassification',
  'ModernBertForTokenClassification',
  'ModernBertForQuestionAnswering',
] as const
const KINDS = ['sliding_attention', 'full_attention'] as const

/** ModernBERT: rotary positions, windows in most layers, gated blocks. Warner et al. 2024, https://arxiv.org/abs/2412.13663 */
export const modernbert: EncoderDefinition = {
  kind: 'encoder',
  type: 'modernbert',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'embedding_dropout', 'mlp_dropout', 'classifier_dropout', 'initializer_cutoff_factor') // training
    c.ignore('deterministic_flash_attn', 'reference_compile', 'repad_logits_with_grad') // how transformers runs it
    c.ignore('sparse_prediction', 'sparse_pred_ignore_index', 'cls_token_id')
    c.ignore('position_embedding_type', 'layer_norm_eps') // written beside norm_eps, never read
    c.only('tie_word_embeddings', true)
    const { dim, heads, headDim } = wholeHeads(c, { dim: 768, heads: 12 })
    const maxPositions = c.count('max_position_embeddings', 8192)
    const norm = { kind: 'layer', eps: c.number('norm_eps', 1e-5, 0), bias: c.flag('norm_bias', false) } as const
    const vocab = c.count('vocab_size', 50368)
    const layers = c.count('num_hidden_layers', 22)
    const every = c.count('global_attn_every_n_layers', 3)
    const types = c.layerTypes('layer_types', layers, KINDS, i => (i % every === 0 ? 'full_attention' : 'sliding_attention'))
    const distance = Math.floor(c.count('local_attention', 128) / 2)
    const thetas = { full_attention: c.number('global_rope_theta', 160000), sliding_attention: c.optionalNumber('local_rope_theta', 10000) }
    const bias = c.flag('attention_bias', false)
    const mlp: EncoderSpec['layers'][number]['mlp'] = {
      kind: 'gated',
      hidden: c.count('intermediate_size', 1152),
      bias: c.flag('mlp_bias', false),
      activation: c.activation('hidden_activation', 'gelu'),
    }
    const head = headOf(c, { dim, vocab, norm })
    const spec: EncoderSpec = {
      kind: 'encoder',
      type: 'modernbert',
      dim,
      norm,
      input: { kind: 'tokens', vocab, table: 'own', embed: { norm } },
      layers: types.map((type, i) => ({
        attention: {
          variant: 'mha',
          config: { dim, heads, headDim, bias, outBias: bias },
          position: ropeFromConfig(c, headDim, maxPositions, { layers: type, theta: thetas[type] ?? thetas.full_attention }),
          mask: type === 'full_attention' ? { kind: 'full' } : { kind: 'near', distance },
          // The embeddings' own norm stands before the first layer.
          ...(i === 0 ? { norm: 'none' } : {}),
        },
        mlp,
      })),
      ...(head ? { head } : {}),
    }
    c.finish()
    return spec
  },
  layout({ dim, norm, layers: [{ mlp }], head }) {
    const hidden = (mlp as { hidden: number }).hidden
    const norms = norm.kind === 'layer' && norm.bias ? normRules : (file: string, param: string) => [same(file, param)]
    return layout([
      ...['model.', ''].flatMap(at => [
        same(`${at}embeddings.tok_embeddings`, 'input.table'),
        ...norms(`${at}embeddings.norm`, 'input.norm'),
        ...['weight', 'bias'].flatMap(part => [
          rule(
            `${at}layers.{i}.attn.Wqkv.${part}`,
            ['q', 'k', 'v'].map(x => `layers.{i}.attention.${x}.${part}`),
            split(0, [dim, dim, dim]),
          ),
          rule(
            `${at}layers.{i}.mlp.Wi.${part}`,
            ['gate', 'up'].map(x => `layers.{i}.mlp.${x}.${part}`),
            split(0, [hidden, hidden]),
          ),
        ]),
        same(`${at}layers.{i}.attn.Wo`, 'layers.{i}.attention.o'),
        same(`${at}layers.{i}.mlp.Wo`, 'layers.{i}.mlp.down'),
        ...norms(`${at}layers.{i}.attn_norm`, 'layers.{i}.attentionNorm'),
        ...norms(`${at}layers.{i}.mlp_norm`, 'layers.{i}.mlpNorm'),
        ...norms(`${at}final_norm`, 'norm'),
      ]),
      same('head.dense', 'headMaps.0.map'),
      ...norms('head.norm', 'headMaps.0.norm'),
      ...(head?.tied
        ? [rule('decoder.bias', 'headBias.weight'), ignore('decoder.weight', 'the table of embeddings')]
        : [same('classifier', 'head')]),
      ...['head', 'decoder'].map(x => ignore(`${x}.{**}`, UNREAD)),
    ])
  },
}

/** What the class adds to the encoder. */
function headOf(
  c: ConfigReader,
  { dim, vocab, norm }: { dim: number; vocab: number; norm: EncoderSpec['norm'] },
): EncoderHeadSpec | undefined {
  const type = architectureOf(c, CLASSES, 'ModernBertModel')
  const map = { size: dim, activation: c.activation('classifier_activation', 'gelu'), bias: c.flag('classifier_bias', false), norm }
  const bias = c.flag('decoder_bias', true)
  const size = labelCount(c)
  if (type === 'ModernBertForSequenceClassification') c.only('classifier_pooling', 'cls')
  else c.ignore('classifier_pooling')
  switch (type) {
    case 'ModernBertModel':
      return undefined
    case 'ModernBertForMaskedLM':
      return { gives: 'logits', of: 'tokens', hidden: [map], size: vocab, bias, tied: true }
    default:
      return { gives: 'logits', of: type === 'ModernBertForSequenceClassification' ? 'first' : 'tokens', hidden: [map], size }
  }
}
