import { describe, expect, it } from 'vitest'
import { sentenceSettings } from './sentence.ts'

const modules = (...types: string[]) => JSON.stringify(types.map(t => ({ type: `sentence_transformers.models.${t}` })))
const pooling = (...modes: string[]) => JSON.stringify({ word_embedding_dimension: 4, ...Object.fromEntries(modes.map(m => [m, true])) })

describe('settings of sentence encoders', () => {
  it('says how to pool, whether to normalise and how long texts may be', () => {
    expect(
      sentenceSettings({
        '1_Pooling/config.json': pooling('pooling_mode_cls_token'),
        'modules.json': modules('Transformer', 'Pooling', 'Normalize'),
        'sentence_bert_config.json': '{"max_seq_length": 256}',
      }),
    ).toEqual({ pooling: 'cls', normalise: true, maxTokens: 256 })
    expect(sentenceSettings({ 'modules.json': modules('Transformer', 'Pooling') })).toEqual({ normalise: false })
    expect(sentenceSettings({})).toBeUndefined()
  })
  it.each([
    [{ '1_Pooling/config.json': pooling('pooling_mode_mean_tokens', 'pooling_mode_max_tokens') }, 'ERR_UNSUPPORTED'],
    [{ '1_Pooling/config.json': pooling('pooling_mode_mean_sqrt_len_tokens') }, 'ERR_UNSUPPORTED'],
    [{ 'modules.json': modules('Transformer', 'Pooling', 'Dense') }, 'ERR_UNSUPPORTED'],
    [{ 'modules.json': '{}' }, 'ERR_FORMAT'],
    [{ 'modules.json': '[' }, 'ERR_FORMAT'],
  ])('refuses %j by name', (files, code) => {
    expect(() => sentenceSettings(files)).toThrow(expect.objectContaining({ code }))
  })
})
