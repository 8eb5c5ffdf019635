import { expect, it } from 'vitest'
import oracle from '../test/rope-configs.json' with { type: 'json' }
import { gemma3Text, llama, phi3 } from './index.ts'

const factors = { short_factor: [1, 1.1, 1.2, 1.3], long_factor: [2, 3, 4, 5] }
const { rope_parameters: _, ...filled } = oracle.phi3.filled
const small = { ...filled, hidden_size: 32, num_attention_heads: 4, num_key_value_heads: 4, max_position_embeddings: 131072 }
const position = (config: Record<string, unknown>) => phi3.spec(config).layers[0].attention.position

it("calls LongRoPE by its names in Phi-3's older configs", () => {
  const want = position({ ...small, rope_parameters: { rope_type: 'longrope', ...factors } })
  expect(want).toMatchObject({ scaling: { type: 'longrope', original_max_position_embeddings: 4096 } })
  for (const type of ['su', 'yarn', 'longrope']) expect(position({ ...small, rope_scaling: { type, ...factors } })).toEqual(want)
  expect(() => llama.spec({ rope_scaling: { type: 'su', ...factors } })).toThrow(/"su"/)
})
it('reads the first context beside max_position_embeddings before that of the scaling', () => {
  const rope_scaling = { type: 'longrope', ...factors, original_max_position_embeddings: 512 }
  const { original_max_position_embeddings: _, ...without } = small
  expect(position({ ...without, rope_scaling })).toMatchObject({ scaling: { original_max_position_embeddings: 4096 } })
  expect(position({ ...without, rope_scaling, original_max_position_embeddings: 1024 })).toMatchObject({
    scaling: { original_max_position_embeddings: 1024 },
  })
})
it('takes rope_scaling for the whole of the settings where a config has both', () => {
  const both = { rope_parameters: { rope_type: 'linear', factor: 8, rope_theta: 5 }, rope_scaling: { type: 'linear', factor: 2 } }
  expect(llama.spec(both).layers[0].attention.position).toMatchObject({ theta: 10000, scaling: { type: 'linear', factor: 2 } })
})
it('names a setting of LongRoPE that it does not know', () => {
  expect(() => position({ ...small, rope_scaling: { type: 'longrope', ...factors, short_mscale: 1.1 } })).toThrow(/short_mscale/)
})
it('reads a base for each kind of layer, and a scaling for those that see everything', () => {
  const spec = gemma3Text.spec({ rope_theta: 7, rope_local_base_freq: 5, rope_scaling: { rope_type: 'linear', factor: 8 } })
  expect(spec.layers[4].attention).toMatchObject({ mask: { kind: 'window', size: 4096 }, position: { theta: 5 } })
  expect(spec.layers[4].attention.position).not.toHaveProperty('scaling')
  expect(spec.layers[5].attention).toMatchObject({
    mask: { kind: 'causal' },
    position: { theta: 7, scaling: { type: 'linear', factor: 8 } },
  })
})
