import { ignore, layout, rule } from '@attune/weights'
import { UNREAD } from './bert-family.ts'
import { ConfigReader } from './config-reader.ts'
import type { EncoderDefinition } from './definition.ts'
import { architectureOf, labelCount } from './encoder-class.ts'
import type { EncoderHeadSpec } from './encoder-head.ts'
import type { EncoderSpec } from './encoder-spec.ts'
import { normRules, same } from './file-names.ts'
import { headWidth } from './heads-config.ts'

const CLASSES = [
  'DistilBertModel',
  'DistilBertForMaskedLM',
  'DistilBertForSequenceClassification',
  'DistilBertForTokenClassification',
  'DistilBertForQuestionAnswering',
] as const

/** DistilBERT: BERT without token types and pooler. Sanh et al. 2019, https://arxiv.org/abs/1910.01108 */
export const distilbert: EncoderDefinition = {
  kind: 'encoder',
  type: 'distilbert',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('dropout', 'attention_dropout', 'qa_dropout', 'seq_classif_dropout') // training
    c.ignore('sinusoidal_pos_embds', 'tie_weights_') // the table is in the files either way
    c.only('tie_word_embeddings', true)
    const dim = c.count('dim', 768)
    const heads = c.count('n_heads', 12)
    const norm = { kind: 'layer', eps: 1e-12, bias: true } as const
    const activation = c.activation('activation', 'gelu')
    const vocab = c.count('vocab_size', 30522)
    const layer: EncoderSpec['layers'][number] = {
      attention: {
        variant: 'mha',
        config: { dim, heads, headDim: headWidth(c, 'n_heads', dim, heads), bias: true, outBias: true },
        position: { kind: 'none' },
        mask: { kind: 'full' },
        norm: 'stream',
      },
      mlp: { kind: 'plain', hidden: c.count('hidden_dim', 3072), bias: true, activation, norm: 'stream' },
    }
    const head = headOf(architectureOf(c, CLASSES, 'DistilBertModel'), { dim, vocab, activation, norm, labels: labelCount(c) })
    const spec: EncoderSpec = {
      kind: 'encoder',
      type: 'distilbert',
      dim,
      norm,
      finalNorm: false,
      input: {
        kind: 'tokens',
        vocab,
        table: 'own',
        embed: { positions: { rows: c.count('max_position_embeddings', 512), first: 0 }, norm },
      },
      layers: new Array(c.count('n_layers', 6)).fill(layer),
      ...(head ? { head } : {}),
    }
    c.finish()
    return spec
  },
  layout: ({ head }) =>
    layout([
      ...['distilbert.', ''].flatMap(at => [
        same(`${at}embeddings.word_embeddings`, 'input.table'),
        same(`${at}embeddings.position_embeddings`, 'input.positions'),
        ...normRules(`${at}embeddings.LayerNorm`, 'input.norm'),
        ignore(`${at}embeddings.position_ids`, 'counted here'),
        ...Object.entries({
          'attention.q_lin': 'attention.q',
          'attention.k_lin': 'attention.k',
          'attention.v_lin': 'attention.v',
          'attention.out_lin': 'attention.o',
          'ffn.lin1': 'mlp.up',
          'ffn.lin2': 'mlp.down',
        }).map(([theirs, own]) => same(`${at}transformer.layer.{i}.${theirs}`, `layers.{i}.${own}`)),
        ...normRules(`${at}transformer.layer.{i}.sa_layer_norm`, 'layers.{i}.attentionNorm'),
        ...normRules(`${at}transformer.layer.{i}.output_layer_norm`, 'layers.{i}.mlpNorm'),
      ]),
      ...(head?.tied
        ? [
            same('vocab_transform', 'headMaps.0.map'),
            ...normRules('vocab_layer_norm', 'headMaps.0.norm'),
            rule('vocab_projector.bias', 'headBias.weight'),
          ]
        : [same('pre_classifier', 'headMaps.0.map'), same('classifier', 'head'), same('qa_outputs', 'head')]),
      ignore('vocab_projector.weight', 'the table of embeddings'),
      ...['vocab_transform', 'vocab_layer_norm', 'vocab_projector'].map(x => ignore(`${x}.{**}`, UNREAD)),
    ]),
}

/** What the class adds to the encoder. */
function headOf(
  type: (typeof CLASSES)[number],
  { dim, vocab, activation, norm, labels }: { dim: number; vocab: number; activation: string; norm: EncoderSpec['norm']; labels: number },
): EncoderHeadSpec | undefined {
  switch (type) {
    case 'DistilBertModel':
      return undefined
    case 'DistilBertForSequenceClassification':
      return { gives: 'logits', of: 'first', hidden: [{ size: dim, activation: 'relu' }], size: labels }
    case 'DistilBertForTokenClassification':
      return { gives: 'logits', of: 'tokens', size: labels }
    case 'DistilBertForQuestionAnswering':
      return { gives: 'logits', of: 'tokens', size: 2 }
    case 'DistilBertForMaskedLM':
      return { gives: 'logits', of: 'tokens', hidden: [{ size: dim, activation, norm }], size: vocab, tied: true }
  }
}
