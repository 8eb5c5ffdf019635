import { env, PreTrainedTokenizer } from '@huggingface/transformers'
import { describe, expect, it } from 'vitest'
import spm from '../test/fixtures/spm.json' with { type: 'json' }
import { fixture, smollm2Tokenizer } from '../test/smollm2.ts'
import { chatTemplate, chatTemplateOf } from './chat.ts'
import { loadTokenizer } from './tokenizer.ts'
import { isTransformersTokenizer, type TransformersTokenizer, tokenizerOf } from './transformers-js.ts'

env.allowRemoteModels = false
const files = smollm2Tokenizer()
const ours = loadTokenizer(files)
const theirs = new PreTrainedTokenizer(files.tokenizerJson!, files.tokenizerConfig!)
const adapted = tokenizerOf(theirs)
const cases: { text: string; ids: number[]; decoded: string }[] = fixture('tokenizer_cases.json')

/** A tokenizer as version 3 has it: no `get_vocab`, a `model` with the ids. */
const third: TransformersTokenizer = Object.assign(
  {
    encode: (text: string, options: object) => theirs.encode(text, options),
    decode: (ids: number[], options: object) => theirs.decode(ids, options),
    apply_chat_template: () => '',
  },
  { model: { tokens_to_ids: theirs.get_vocab() }, config: files.tokenizerConfig, chat_template: { default: 'one', tool_use: 'two' } },
)

describe.each([
  ['4', adapted],
  ['3', tokenizerOf(third)],
])("a tokenizer of transformers.js' version %s", (_, tokenizer) => {
  it('says what ours says', () => {
    for (const { text, ids, decoded } of cases) {
      expect(tokenizer.encode(text)).toEqual(theirs.encode(text))
      expect(tokenizer.decode(ids, { special: true })).toBe(decoded)
      expect(tokenizer.decode(ids)).toBe(ours.decode(ids))
    }
    const { named, vocabSize } = ours
    expect(tokenizer).toMatchObject({ named, vocabSize })
    for (const token of ['<|im_end|>', 'the', 'no such token']) expect(tokenizer.idOf(token)).toBe(ours.idOf(token))
    expect(tokenizer.decode([1, ...ours.encode('Hello'), 2, 60000])).toBe('Hello')
    expect(tokenizer.decode([])).toBe('')
  })
  it('streams whole characters', () => {
    const stream = tokenizer.stream()
    const ids = ours.encode('中文 👩‍👩‍👧 family')
    expect([...ids.map(id => stream.push(id)), stream.end()].join('')).toBe('中文 👩‍👩‍👧 family')
  })
})

it('takes special tokens as they are asked for', () => {
  const theirSpm = new PreTrainedTokenizer(spm.tokenizerJson, {})
  const ourSpm = loadTokenizer({ name: 'spm', ...spm })
  for (const special of [true, false])
    expect(tokenizerOf(theirSpm).encode('light', { special })).toEqual(ourSpm.encode('light', { special }))
})

it('brings its chat template', () => {
  const messages = [{ role: 'user', content: 'What is light?' }]
  const prompt = chatTemplateOf(theirs)(messages)
  expect(prompt).toBe(theirs.apply_chat_template(messages, { tokenize: false, add_generation_prompt: true }))
  expect(prompt).toBe(chatTemplate(files.tokenizerConfig!.chat_template as string, ours.named)(messages))
  expect(tokenizerOf(third).chatTemplate).toBe('one')
  expect(() => chatTemplateOf(ours)).toThrow(/no chat template/)
})

it('takes ours as it is and refuses anything else', () => {
  expect(tokenizerOf(ours)).toBe(ours)
  expect([isTransformersTokenizer(theirs), isTransformersTokenizer(third), isTransformersTokenizer(ours)]).toEqual([true, true, false])
  expect(() => tokenizerOf({ encode: () => [] } as never)).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }))
})
