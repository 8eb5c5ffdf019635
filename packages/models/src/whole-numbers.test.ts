import { gqa, mha, mqa } from '@attune/attention-heads'
import { openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { llama, modelFrom } from './index.ts'

const variants = new Map([gqa, mha, mqa].map(v => [v.name, v]))

it.each(['i32', 'u8', 'bool'] as const)(
  'weights of type %s are refused by tensor and place, as a damaged header makes them',
  async dtype => {
    const checkpoint = await openCheckpoint(await diskFolder(new URL('../test/fixtures/llama-gqa-tied', import.meta.url).pathname))
    const name = 'model.layers.0.mlp.up_proj.weight'
    const tensors = new Map([...checkpoint.tensors].map(([key, entry]) => [key, key === name ? { ...entry, dtype } : entry]))
    expect(() => modelFrom({ ...checkpoint, tensors }, llama, variants)).toThrow(
      expect.objectContaining({ code: 'ERR_FORMAT', data: expect.objectContaining({ tensor: name, field: `${name}.dtype`, dtype }) }),
    )
    await checkpoint.close()
  },
)
