import { describe, expect, it } from 'vitest'
import spm from '../test/fixtures/spm.json' with { type: 'json' }
import { fixture, smollm2Tokenizer } from '../test/smollm2.ts'
import { loadTokenizer } from './tokenizer.ts'

const tokenizer = loadTokenizer(smollm2Tokenizer())
const cases: { text: string; ids: number[]; decoded: string }[] = fixture('tokenizer_cases.json')
const prompts: Record<string, { text: string; input_ids: number[]; greedy_ids: number[]; greedy_text: string }> = fixture('prompts.json')

describe('loadTokenizer', () => {
  it.each(cases)('$text', ({ text, ids, decoded }) => {
    expect(tokenizer.encode(text)).toEqual(ids)
    expect(tokenizer.decode(ids, { special: true })).toBe(decoded)
  })

  it('encodes the prompts as the reference does', () => {
    for (const { text, input_ids } of Object.values(prompts)) expect(tokenizer.encode(text)).toEqual(input_ids)
  })

  it('counts U+0085 as white space and drops bytes outside the vocabulary', () => {
    expect(tokenizer.encode('a \x1cb\x85 \x1d ')).toEqual([81, 216, 213, 82, 141, 223, 216, 216])
  })

  it('knows named tokens, ids and the size', () => {
    expect(tokenizer.named).toMatchObject({ bos_token: '<|im_start|>', eos_token: '<|im_end|>' })
    expect(tokenizer.idOf('<|im_end|>')).toBe(2)
    expect(tokenizer.vocabSize).toBe(49152)
  })

  it('leaves special tokens and unknown ids out of the text', () => {
    expect(tokenizer.decode([1, ...tokenizer.encode('Hello'), 2, 60000])).toBe('Hello')
    expect(tokenizer.decode([2])).toBe('')
  })

  it('refuses a folder without tokenizer.json', () => {
    expect(() => loadTokenizer({ name: 'm' })).toThrow(/m has no tokenizer.json/)
    expect(() => loadTokenizer({ name: 'm', tokenizerJson: { model: { type: 'Telepathy' } } })).toThrow(/m: tokenizer.json cannot be used/)
  })
})

describe('stream', () => {
  const run = (ids: number[], options?: Parameters<typeof tokenizer.stream>[0]) => {
    const stream = tokenizer.stream(options)
    return [...ids.map(id => stream.push(id)), stream.end()]
  }

  it.each(cases)('joined pieces are the text: $text', ({ ids, decoded }) => {
    for (const whole of ['characters', 'words'] as const) expect(run(ids, { special: true, whole }).join('')).toBe(decoded)
  })

  it('never shows half a character', () => {
    for (const text of ['中文，标点。', '👩‍👩‍👧 family 🏳️‍🌈', 'Ünïcödé', 'שלום'])
      for (const piece of run(tokenizer.encode(text))) expect(piece).not.toContain('\ufffd')
  })

  it('shows whole words when asked to', () => {
    const { greedy_ids, greedy_text } = prompts.short
    const pieces = run(greedy_ids, { special: true, whole: 'words' })
    expect(pieces.join('')).toBe(greedy_text)
    for (const piece of pieces.slice(0, -1)) expect(piece).toMatch(/^$|\s$/)
  })

  it('gives up on bytes that never become a character, and shows real replacement characters', () => {
    const broken = tokenizer.encode('中')[0]
    expect(run([broken, ...tokenizer.encode('abc')]).join('')).toBe(tokenizer.decode([broken, ...tokenizer.encode('abc')]))
    expect(run(tokenizer.encode('a\ufffdb')).join('')).toBe('a\ufffdb')
    expect(run(tokenizer.encode('end\ufffd')).join('')).toBe('end\ufffd')
  })
})

describe('a SentencePiece vocabulary', () => {
  const pieces = loadTokenizer({ name: 'spm', tokenizerJson: spm.tokenizerJson })
  it.each(spm.cases)('$text', ({ text, ids, decoded, plain }) => {
    expect(pieces.encode(text)).toEqual(ids)
    expect(pieces.decode(ids)).toBe(plain)
    expect(pieces.decode(ids, { special: true })).toBe(decoded)
    for (const special of [true, false]) {
      const stream = pieces.stream({ special })
      expect(ids.map(id => stream.push(id)).join('') + stream.end()).toBe(special ? decoded : plain)
    }
  })
})
