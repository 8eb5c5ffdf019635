import { testDevice } from '@attune/testing'
import { expect, test } from 'vitest'
import { cpu } from '../src/index.ts'
import { allowRelaxedSimd } from './devices.ts'

const relaxed = allowRelaxedSimd()

testDevice('native, 2 threads', () => cpu({ backend: 'native', threads: 2 }))
testDevice('native, sse2', () => cpu({ backend: 'native', isa: 'sse2', threads: 1 }))
testDevice('WebAssembly', () => cpu({ backend: 'wasm', isa: 'simd128', threads: 2 }))
if (relaxed) testDevice('WebAssembly with relaxed SIMD', () => cpu({ backend: 'wasm', isa: 'relaxed-simd', threads: 2 }))

test('relaxed SIMD is chosen where the engine has it', async () => {
  const device = await cpu({ backend: 'wasm', workers: false })
  expect(device.doctor().isa).toBe(relaxed ? 'relaxed-simd' : 'simd128')
  expect(device.limits.features.has('relaxed-simd')).toBe(relaxed)
  await device.close()
})
