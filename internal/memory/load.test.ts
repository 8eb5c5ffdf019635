import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { CpuOptions } from '@attune/backend-cpu'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root } from '../lib/workspace.mjs'
import type { Measured } from './child.ts'
import { gpt2Model, llamaModel, sparseCheckpoint } from './sparse-checkpoint.ts'

const out = join(root, 'packages/backend-cpu/.cache/memory.mjs') // one folder below the package, as its src and dist
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-memory-'))
  await sparseCheckpoint(join(folder, 'llama'), llamaModel())
  await sparseCheckpoint(join(folder, 'gpt2'), gpt2Model())
  await build({
    entryPoints: [join(root, 'internal/memory/child.ts')],
    outfile: out,
    ...{ bundle: true, format: 'esm', target: 'node20', platform: 'node', conditions: ['attune-source'], logLevel: 'silent' },
  })
}, 60_000)
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await rm(out, { force: true })
})

const measure = async (model: string, options: CpuOptions, weights = 'as-stored'): Promise<Measured> => {
  const args = ['--expose-gc', out, join(folder, model), JSON.stringify({ threads: 2, ...options }), weights]
  return JSON.parse((await promisify(execFile)(process.execPath, args, { timeout: 120_000 })).stdout)
}

test.skipIf(process.platform !== 'linux').each([
  ['native', 'llama', { backend: 'native' }, 'as-stored', 311],
  ['native, tensors that are turned and cut', 'gpt2', { backend: 'native' }, 'as-stored', 498],
  ['WebAssembly', 'llama', { backend: 'wasm' }, 'as-stored', 311],
  ['WebAssembly, as f32', 'llama', { backend: 'wasm' }, 'f32', 623],
  ['WebAssembly on one thread', 'llama', { backend: 'wasm', workers: false }, 'as-stored', 311],
  ['WebAssembly, tensors that are turned and cut', 'gpt2', { backend: 'wasm' }, 'as-stored', 498],
] as const)(
  '%s: loading takes the memory of the weights, and disposing gives it back',
  { timeout: 120_000 },
  async (...[, model, options, weights, millions]) => {
    const measured = await measure(model, options, weights)
    const [before, loaded, disposed, closed] = measured.threads
    expect(Math.round(measured.weights / 1e6)).toBe(millions)
    expect(measured.peak).toBeGreaterThan(0.99 * measured.weights)
    expect(measured.peak / measured.weights).toBeLessThan(1.1)
    expect(measured.disposed).toBeLessThan(0.1 * measured.weights)
    expect(measured.closed).toBeLessThan(0.1 * measured.weights)
    expect(loaded).toBe('workers' in options ? before : before + 2)
    if (options.backend === 'wasm') expect(disposed).toBe(before)
    expect(closed).toBe(before)
  },
)

test.skipIf(process.platform !== 'linux')('native, mapped: loading takes next to nothing', { timeout: 120_000 }, async () => {
  const { peak, weights, disposed } = await measure('llama', { backend: 'native', mapFiles: true })
  expect(peak).toBeLessThan(0.1 * weights)
  expect(disposed).toBeLessThan(0.1 * weights)
})
