import { gqa, mha } from '@attune/attention-heads'
import { expect, it } from 'vitest'
import { openFolder } from '../test/checkpoints.ts'
import { falcon, gemma3Text, llama, type ModelDefinition, modelFrom, mpt, specOf, type Unknown } from './index.ts'

const variants = new Map([mha, gqa].map(v => [v.name, v]))

it('names config keys and tensors that are not known, and goes on without them when told to', async () => {
  const checkpoint = await openFolder('llama-gqa-tied')
  await checkpoint.close()
  const plain = modelFrom(checkpoint, llama, variants)
  const extra = new Map(checkpoint.tensors).set('surprise.weight', [...checkpoint.tensors.values()][0])
  const odd = { ...checkpoint, tensors: extra, config: { ...checkpoint.config, surprise: 1, more: { a: 2 }, nothing: null } }
  expect(() => modelFrom(odd, llama, variants)).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED', message: expect.stringContaining("'surprise', 'more'") })) // biome-ignore format: one line
  expect(() => modelFrom({ ...odd, config: checkpoint.config }, llama, variants)).toThrow(/surprise\.weight/)
  const told: Unknown[] = []
  const model = modelFrom(odd, llama, variants, { onUnknown: u => told.push(u) })
  expect(told).toEqual([
    { kind: 'key', name: 'surprise' },
    { kind: 'key', name: 'more' },
    { kind: 'tensor', name: 'surprise.weight' },
  ])
  expect(model.spec).toEqual(plain.spec)
  expect([...model.values.keys()]).toEqual([...plain.values.keys()])
})

it.each([
  [llama, { rope_parameters: { rope_type: 'default', surprise: 1 } }, 'rope_parameters.surprise'],
  [falcon, { rope_scaling: { type: 'linear', factor: 2, surprise: 1 } }, 'rope_scaling.surprise'],
  [gemma3Text, { rope_parameters: { full_attention: { rope_type: 'default', surprise: 1 } } }, 'rope_parameters.full_attention.surprise'],
  [gemma3Text, { rope_parameters: { odd_attention: { rope_type: 'default' } } }, 'rope_parameters.odd_attention'],
  [mpt, { attn_config: { surprise: 1 } }, 'attn_config.surprise'],
  [mpt, { ffn_config: { ffn_type: 'mptmlp', surprise: 1 } }, 'ffn_config.surprise'],
] as [ModelDefinition, Record<string, unknown>, string][])('$type: finds a key inside another: %j', (definition, config, name) => {
  const without = JSON.parse(JSON.stringify(config, (key, value) => (['surprise', 'odd_attention'].includes(key) ? undefined : value)))
  expect(() => specOf(definition, { config })).toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED' }))
  const told: Unknown[] = []
  expect(specOf(definition, { config }, u => told.push(u))).toEqual(definition.spec(without))
  expect(told).toEqual([{ kind: 'key', name }])
})

it('refuses what is known and wrong all the same', () => {
  const allow = () => {}
  expect(() => specOf(llama, { config: { surprise: 1, num_hidden_layers: -1 } }, allow)).toThrow(/num_hidden_layers/)
  expect(() => specOf(llama, { config: { rope_parameters: { rope_type: 'surprise' } } }, allow)).toThrow(/rope type/)
})
