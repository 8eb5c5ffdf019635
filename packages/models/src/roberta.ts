import { ignore, layout, rule } from '@attune/weights'
import { type BertBody, bertRules, bertSpec, hasPooler, UNREAD } from './bert-family.ts'
import type { ConfigReader } from './config-reader.ts'
import type { EncoderDefinition, TensorNames } from './definition.ts'
import { architectureOf, labelCount } from './encoder-class.ts'
import type { EncoderHeadSpec } from './encoder-head.ts'
import { normRules, same } from './file-names.ts'

const TASKS = ['Model', 'ForMaskedLM', 'ForSequenceClassification', 'ForTokenClassification', 'ForQuestionAnswering'] as const

/** RoBERTa. Liu et al. 2019, https://arxiv.org/abs/1907.11692 */
export const roberta = robertaOf('roberta', 'Roberta', { vocab: 50265 })
/** XLM-RoBERTa. Conneau et al. 2019, https://arxiv.org/abs/1911.02116 */
export const xlmRoberta = robertaOf('xlm-roberta', 'XLMRoberta', { vocab: 30522 })

/** BERT whose positions begin after the padding's, with heads of its own. */
function robertaOf(type: string, word: string, { vocab }: { vocab: number }): EncoderDefinition {
  return {
    kind: 'encoder',
    type,
    spec: (json, tensors) => bertSpec(json, type, { vocab, first: afterPadding }, (c, body) => headOf(c, word, body, tensors)),
    layout: spec =>
      layout([
        ...['roberta.', ''].flatMap(at => bertRules(at, spec, false)),
        ...(spec.head?.tied
          ? [
              same('lm_head.dense', 'headMaps.0.map'),
              ...normRules('lm_head.layer_norm', 'headMaps.0.norm'),
              rule('lm_head.bias', 'headBias.weight'),
            ]
          : [
              same('classifier.dense', 'headMaps.0.map'),
              same('classifier.out_proj', 'head'),
              same('classifier', 'head'),
              same('qa_outputs', 'head'),
            ]),
        ...['lm_head.decoder.weight', 'lm_head.decoder.bias'].map(x => ignore(x, 'the table and bias above')),
        ignore('lm_head.{**}', UNREAD),
      ]),
  }
}

/** Positions are counted from the padding's id on. */
function afterPadding(c: ConfigReader): number {
  const pad = c.number('pad_token_id', 1)
  if (!Number.isInteger(pad) || pad < 0) throw c.wrong('pad_token_id', 'a token id', pad)
  return pad + 1
}

/** What the class adds to the encoder. A pooler counts where the files hold one. */
function headOf(c: ConfigReader, word: string, { dim, vocab, norm }: BertBody, tensors?: TensorNames): EncoderHeadSpec | undefined {
  const classes = TASKS.map(task => `${word}${task}`)
  const task = TASKS[classes.indexOf(architectureOf(c, classes, classes[0]))]
  const labels = labelCount(c)
  const pooler = { size: dim, activation: 'tanh' }
  switch (task) {
    case 'Model':
      return hasPooler(tensors, 'roberta.') ? { gives: 'pooled', of: 'first', ...pooler } : undefined
    case 'ForSequenceClassification':
      return { gives: 'logits', of: 'first', hidden: [pooler], size: labels }
    case 'ForTokenClassification':
      return { gives: 'logits', of: 'tokens', size: labels }
    case 'ForQuestionAnswering':
      return { gives: 'logits', of: 'tokens', size: 2 }
    case 'ForMaskedLM':
      return { gives: 'logits', of: 'tokens', hidden: [{ size: dim, activation: 'gelu', norm }], size: vocab, tied: true }
  }
}
