import { fileURLToPath } from 'node:url'
import { openModel } from '@attune/weights/node'
import { AutoTokenizer, env } from '@huggingface/transformers'
import { createAttune } from 'attune'
import { expect, it } from 'vitest'

const assets = fileURLToPath(new URL('../../../apps/cli/assets/', import.meta.url))

it('loads a model with a tokenizer of transformers.js', async () => {
  env.allowRemoteModels = false
  env.localModelPath = assets
  const tokenizer = await AutoTokenizer.from_pretrained('toy')
  tokenizer.chat_template = '{% for m in messages %}{{ m.content }}{% endfor %}'
  const kit = await createAttune({ open: openModel })
  const own = await kit.load(`${assets}toy`)
  const adapted = await kit.load(`${assets}toy`, { tokenizer })
  const answer = async (model: typeof own, prompt: Parameters<typeof own.generate>[0]) => {
    let text = ''
    for await (const piece of model.generate(prompt, { maxTokens: 12, temperature: 0 })) text += piece.text
    return text
  }
  const text = await answer(own, 'The Rays of Light')
  expect(text).not.toBe('')
  expect(await answer(adapted, 'The Rays of Light')).toBe(text)
  expect(await answer(adapted, [{ role: 'user', content: 'The Rays of Light' }])).toBe(text)
  expect(adapted.endIds).toEqual(own.endIds)
  expect(adapted.encode('a Prism')).toEqual(own.encode('a Prism'))
  await kit.close()
})
