import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { makeSafetensors } from '../test/make.ts'
import { floats } from './checkpoint.ts'
import { readSafetensors } from './safetensors/read.ts'
import { memorySource } from './source.ts'

const { torch: _, ...oracle } = JSON.parse(readFileSync(new URL('../test/fixtures/float8.json', import.meta.url), 'utf8'))
const words: Readonly<Record<string, number>> = { inf: Infinity, '-inf': -Infinity }

it.each(Object.entries(oracle as Record<string, (number | string | null)[]>))(
  'reads every byte of %s as PyTorch does',
  async (dtype, values) => {
    const file = makeSafetensors(
      { w: { dtype, shape: [256], data_offsets: [0, 256] } },
      Uint8Array.from({ length: 256 }, (_, i) => i),
    )
    const { tensors } = await readSafetensors(memorySource('x.safetensors', file))
    const want = values.map(x => (x === null ? Number.NaN : typeof x === 'string' ? words[x] : x))
    expect([...(await floats(tensors.get('w')!))]).toEqual(want)
  },
)
