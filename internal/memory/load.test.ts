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
import { sparseCheckpoint } from './sparse-checkpoint.ts'

const out = join(root, 'packages/backend-cpu/.cache/memory.mjs') // one folder below the package, as its src and dist
const MB = 2 ** 20
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-memory-'))
  await sparseCheckpoint(folder, 8)
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

const measure = async (options: CpuOptions, weights = 'as-stored'): Promise<Measured> => {
  const args = ['--expose-gc', out, folder, JSON.stringify({ threads: 2, ...options }), weights]
  return JSON.parse((await promisify(execFile)(process.execPath, args, { timeout: 120_000 })).stdout)
}

test.skipIf(process.platform !== 'linux').each([
  ['native', { backend: 'native' }, 'as-stored'],
  ['WebAssembly', { backend: 'wasm' }, 'as-stored'],
  ['WebAssembly, as f32', { backend: 'wasm' }, 'f32'],
  ['WebAssembly on one thread', { backend: 'wasm', workers: false }, 'as-stored'],
] as const)(
  '%s: loading takes the memory of the weights, and disposing gives it back',
  { timeout: 120_000 },
  async (_, options, weights) => {
    const measured = await measure(options, weights)
    const [before, loaded, disposed, closed] = measured.threads
    expect(measured.weights).toBeGreaterThan(weights === 'f32' ? 580 * MB : 290 * MB)
    expect(measured.peak).toBeGreaterThan(0.99 * measured.weights)
    expect(measured.peak / measured.weights).toBeLessThan(1.1)
    expect(measured.disposed).toBeLessThan(0.1 * measured.weights)
    expect(measured.closed).toBeLessThan(0.1 * measured.weights)
    if ('workers' in options) expect(loaded).toBe(before)
    else expect(loaded).toBe(before + 2)
    if (options.backend === 'wasm') expect(disposed).toBe(before)
    expect(closed).toBe(before)
  },
)
