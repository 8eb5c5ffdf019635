import { gqa, mha, mqa } from '@attune/attention-heads'
import { openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { modelFrom, phi, phi3, qwen2, stablelm } from './index.ts'

const variants = new Map([mha, gqa, mqa].map(v => [v.name, v]))

/** As checkpoints of a model without its head name them, such as those for embeddings. */
it.each([
  ['qwen2-upper-windows', qwen2],
  ['phi3-long', phi3],
  ['stablelm-normed-parallel', stablelm],
] as const)('%s is read without the prefix of its names', async (name, definition) => {
  const checkpoint = await openCheckpoint(await diskFolder(new URL(`../test/fixtures/variations/${name}`, import.meta.url).pathname))
  const bare = new Map([...checkpoint.tensors].map(([file, entry]) => [file.replace(/^model\./, ''), entry]))
  const [want, have] = [checkpoint, { ...checkpoint, tensors: bare }].map(c => modelFrom(c, definition, variants).values)
  expect([...have.keys()]).toEqual([...want.keys()])
  for (const [path, { weight, bias }] of want) {
    expect(Buffer.compare(await have.get(path)!.weight.bytes(), await weight.bytes())).toBe(0)
    expect(have.get(path)!.bias === undefined).toBe(bias === undefined)
  }
  const twice = new Map([...bare, ...checkpoint.tensors])
  expect(() => modelFrom({ ...checkpoint, tensors: twice }, definition, variants)).toThrow(/are both parameter/)
  await checkpoint.close()
})
it('asks for the head that a checkpoint lacks by the name of the whole model', async () => {
  const checkpoint = await openCheckpoint(await diskFolder(new URL('../test/fixtures/variations/phi-plain', import.meta.url).pathname))
  const tensors = new Map([...checkpoint.tensors].filter(([file]) => file !== 'lm_head.weight'))
  expect(() => modelFrom({ ...checkpoint, tensors }, phi, variants)).toThrow(/lm_head\.weight is missing/)
  await checkpoint.close()
})
