import { ignore, layout, rule } from '@attune/weights'
import { type BertBody, bertNormRules, bertRules, bertSpec, hasPooler, UNREAD } from './bert-family.ts'
import type { ConfigReader } from './config-reader.ts'
import type { EncoderDefinition, TensorNames } from './definition.ts'
import { architectureOf, labelCount } from './encoder-class.ts'
import type { EncoderHeadSpec } from './encoder-head.ts'
import { same } from './file-names.ts'

const CLASSES = [
  'BertModel',
  'BertForMaskedLM',
  'BertForPreTraining',
  'BertForSequenceClassification',
  'BertForTokenClassification',
  'BertForQuestionAnswering',
] as const

/** BERT. Devlin et al. 2018, https://arxiv.org/abs/1810.04805 */
export const bert: EncoderDefinition = {
  kind: 'encoder',
  type: 'bert',
  spec: (json, tensors) => bertSpec(json, 'bert', { vocab: 30522, first: () => 0 }, (c, body) => headOf(c, body, tensors)),
  layout: spec =>
    layout([
      ...['bert.', ''].flatMap(at => bertRules(at, spec)),
      ...(spec.head?.tied
        ? [
            same('cls.predictions.transform.dense', 'headMaps.0.map'),
            ...bertNormRules('cls.predictions.transform.LayerNorm', 'headMaps.0.norm'),
            rule('cls.predictions.bias', 'headBias.weight'),
          ]
        : [same('classifier', 'head'), same('qa_outputs', 'head')]),
      ...['cls.predictions.decoder.weight', 'cls.predictions.decoder.bias'].map(x => ignore(x, 'the table and bias above')),
      ...['cls.predictions.{**}', 'cls.seq_relationship.{**}'].map(x => ignore(x, UNREAD)),
    ]),
}

/** What the class adds to the encoder. A pooler counts where the files hold one. */
function headOf(c: ConfigReader, { dim, vocab, activation, norm }: BertBody, tensors?: TensorNames): EncoderHeadSpec | undefined {
  const pooler = { size: dim, activation: 'tanh' }
  const type = architectureOf(c, CLASSES, 'BertModel')
  const labels = labelCount(c)
  switch (type) {
    case 'BertModel':
      return hasPooler(tensors, 'bert.') ? { gives: 'pooled', of: 'first', ...pooler } : undefined
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
