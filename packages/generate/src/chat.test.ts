import { expect, it } from 'vitest'
import { fixture, smollm2Tokenizer } from '../test/smollm2.ts'
import { chatTemplate } from './chat.ts'
import { loadTokenizer } from './tokenizer.ts'

const files = smollm2Tokenizer()
const { chat } = fixture('prompts.json')

it('gives the prompt text and ids of the reference', () => {
  const tokenizer = loadTokenizer(files)
  const text = chatTemplate(files.tokenizerConfig.chat_template, tokenizer.named)(chat.messages, {
    addGenerationPrompt: chat.add_generation_prompt,
  })
  expect(text).toBe(chat.text)
  expect(tokenizer.encode(text, { special: false })).toEqual(chat.input_ids)
})

it('knows the named tokens, tools and own variables', () => {
  const render = chatTemplate(
    '{{ bos_token }}{{ messages[0].content }}{% if tools %}{{ tools | length }}{% endif %}{{ mood }}{{ eos_token }}',
    { bos_token: '<s>', eos_token: '</s>' },
  )
  expect(render([{ role: 'user', content: 'Hi' }], { tools: [{}, {}], variables: { mood: '!' } })).toBe('<s>Hi2!</s>')
  expect(render([{ role: 'user', content: 'Hi' }])).toBe('<s>Hi</s>')
})

it('names what went wrong', () => {
  expect(() => chatTemplate('{% if %}')).toThrow(expect.objectContaining({ code: 'ERR_FORMAT' }))
  const render = chatTemplate("{{ raise_exception('roles must alternate') }}")
  expect(() => render([{ role: 'user', content: '' }])).toThrow(/roles must alternate/)
})
