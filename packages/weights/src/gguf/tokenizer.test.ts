import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type MadeValue, makeGguf } from '../../test/make.ts'
import { memorySource } from '../source.ts'
import { Metadata } from './metadata.ts'
import { readGguf } from './read.ts'
import { ggufTokenizer } from './tokenizer.ts'

const base: Record<string, MadeValue> = {
  'general.architecture': [8, 'llama'],
  'llama.context_length': [4, 512],
  'tokenizer.ggml.model': [8, 'gpt2'],
  'tokenizer.ggml.pre': [8, 'smollm'],
  'tokenizer.ggml.tokens': [9, 8, ['<|end|>', '<user>', 'a', 'b', 'Ġ', 'ab', 'Ġab']],
  'tokenizer.ggml.token_type': [9, 5, [3, 4, 1, 1, 1, 1, 1]],
  'tokenizer.ggml.merges': [9, 8, ['a b', 'Ġ ab']],
  'tokenizer.ggml.bos_token_id': [4, 0],
  'tokenizer.ggml.eos_token_id': [4, 0],
  'tokenizer.ggml.add_bos_token': [7, false],
  'tokenizer.chat_template': [8, '{{ messages }}'],
}
async function tokenizer(over: Record<string, MadeValue | undefined> = {}) {
  const values = Object.entries({ ...base, ...over }).filter((e): e is [string, MadeValue] => e[1] !== undefined)
  const { metadata } = await readGguf(memorySource('x.gguf', makeGguf(values, [])))
  return ggufTokenizer(new Metadata('x.gguf', metadata)) as Record<string, any>
}

describe('ggufTokenizer', () => {
  it('rebuilds tokenizer.json of a byte-level BPE', async () => {
    const { tokenizerJson, tokenizerConfig, chatTemplate } = await tokenizer()
    expect(tokenizerJson.model.vocab).toEqual({ '<|end|>': 0, '<user>': 1, a: 2, b: 3, Ġ: 4, ab: 5, Ġab: 6 })
    expect(tokenizerJson.model.merges).toEqual([
      ['a', 'b'],
      ['Ġ', 'ab'],
    ])
    expect(tokenizerJson.added_tokens.map((t: any) => [t.id, t.content, t.special])).toEqual([
      [0, '<|end|>', true],
      [1, '<user>', false],
    ])
    expect(tokenizerJson.pre_tokenizer.pretokenizers.map((p: any) => p.type)).toEqual(['Digits', 'ByteLevel'])
    expect(tokenizerJson.post_processor).toBe(null)
    expect(tokenizerConfig).toMatchObject({
      bos_token: '<|end|>',
      eos_token: '<|end|>',
      chat_template: '{{ messages }}',
      model_max_length: 512,
    })
    expect(chatTemplate).toBe('{{ messages }}')
  })

  it('finds the merges of SentencePiece scores as the reference does', async () => {
    const oracle = JSON.parse(readFileSync(new URL('../../test/fixtures/spm.json', import.meta.url), 'utf8'))
    const { tokenizerJson } = await tokenizer({
      'tokenizer.ggml.model': [8, 'llama'],
      'tokenizer.ggml.pre': undefined,
      'tokenizer.ggml.merges': undefined,
      'tokenizer.ggml.add_bos_token': undefined,
      'tokenizer.ggml.tokens': [9, 8, oracle.tokens],
      'tokenizer.ggml.token_type': [9, 5, oracle.types],
      'tokenizer.ggml.scores': [9, 6, oracle.scores],
      'tokenizer.ggml.bos_token_id': [4, 1],
      'tokenizer.ggml.eos_token_id': [4, 2],
      'tokenizer.ggml.unknown_token_id': [4, 0],
    })
    const { pair: _, ...post } = oracle.tokenizerJson.post_processor
    expect(tokenizerJson).toEqual({ ...oracle.tokenizerJson, post_processor: { ...post, pair: tokenizerJson.post_processor.pair } })
  })

  it('cuts text as the names of llama.cpp say, by tokenizers of Hugging Face', async () => {
    const cut = async (pre: string) => (await tokenizer({ 'tokenizer.ggml.pre': [8, pre] })).tokenizerJson
    expect((await cut('phi-2')).pre_tokenizer).toEqual((await cut('gpt-2')).pre_tokenizer)
    expect((await cut('deepseek-r1-qwen')).pre_tokenizer).toEqual((await cut('qwen2')).pre_tokenizer)
    const { pre_tokenizer } = await cut('gpt-4o')
    const pattern = new RegExp(pre_tokenizer.pretokenizers[0].pattern.Regex.replaceAll('(?i:', '(?:'), 'gu')
    expect("HelloWorld 12345 it's/\n  x".match(pattern)).toEqual(['Hello', 'World', ' ', '123', '45', " it's", '/\n', ' ', ' x'])
    expect([(await cut('llama3')).model.ignore_merges, (await cut('dbrx')).model.ignore_merges]).toEqual([true, false])
  })

  it('puts the begin token before a text where the file asks for it', async () => {
    const { tokenizerJson } = await tokenizer({ 'tokenizer.ggml.add_bos_token': [7, true] })
    expect(tokenizerJson.post_processor.single).toEqual([
      { SpecialToken: { id: '<|end|>', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
    ])
    expect(tokenizerJson.post_processor.special_tokens).toEqual({ '<|end|>': { id: '<|end|>', ids: [0], tokens: ['<|end|>'] } })
  })

  it('is nothing where the file has no tokenizer', async () => {
    expect(await tokenizer({ 'tokenizer.ggml.model': undefined })).toEqual({})
  })

  it.each([
    ['a model', { 'tokenizer.ggml.model': [8, 'rwkv'] }, 'ERR_UNSUPPORTED', /tokenizer.ggml.model rwkv/],
    ['a pre-tokenizer', { 'tokenizer.ggml.pre': [8, 'poro-chat'] }, 'ERR_UNSUPPORTED', /tokenizer.ggml.pre poro-chat/],
    ['a doubled token', { 'tokenizer.ggml.tokens': [9, 8, ['a', 'a', 'b', 'b', 'c', 'd', 'e']] }, 'ERR_FORMAT', /stands at 0 and 1/],
    ['missing tokens', { 'tokenizer.ggml.tokens': undefined }, 'ERR_FORMAT', /missing/],
    ['types of another length', { 'tokenizer.ggml.token_type': [9, 5, [1]] }, 'ERR_FORMAT', /1 entries for 7 tokens/],
    ['a broken merge', { 'tokenizer.ggml.merges': [9, 8, ['ab']] }, 'ERR_FORMAT', /merge 0/],
    ['a token id outside', { 'tokenizer.ggml.eos_token_id': [4, 7] }, 'ERR_FORMAT', /7 is not one of 7/],
    ['a value of another type', { 'tokenizer.ggml.tokens': [8, 'a'] }, 'ERR_FORMAT', /not a list of strings/],
  ] as [string, Record<string, MadeValue>, string, RegExp][])('refuses %s by name', async (_, over, code, why) => {
    const error = await tokenizer(over).catch(e => e)
    expect(error.code).toBe(code)
    expect(error.message).toMatch(why)
  })
})
