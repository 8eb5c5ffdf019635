import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'tsup'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builds, openCpu } from '../test/devices.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const out = join(root, `out`)

// One folder below the package like src and dist, as plain JavaScript.
beforeAll(async () => {
  await (await openCpu()).close()
  await build({
    config: false,
    entry: { index: join(root, 'src/index.ts') },
    outDir: out,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    noExternal: [/.*/],
    splitting: false,
    silent: true,
    esbuildOptions: o => {
      o.conditions = ['attune-source']
    },
  })
})
afterAll(() => rmSync(out, { recursive: true, force: true }))

describe.each(builds)('$name: a device that nobody closes', ({ options }) => {
  const child = async (how: string) => {
    const args = [join(root, 'test/child.mjs'), pathToFileURL(join(out, 'index.js')).href, JSON.stringify(options), how]
    const ended = await promisify(execFile)(process.execPath, args, { timeout: 20_000 }).catch(error => error)
    return { code: ended.code ?? 0, signal: ended.signal ?? null, said: ended.stdout.trim(), wrong: ended.stderr.trim() }
  }
  test('does not keep an idle process alive', async () => {
    expect(await child('idle')).toEqual({ code: 0, signal: null, said: 'ran', wrong: '' })
  })
  test('lets a process exit in the middle of a run', async () => {
    expect(await child('exit')).toEqual({ code: 3, signal: null, said: '', wrong: '' })
  })
  test('lets a worker that opened it be terminated', async () => {
    expect(await child('worker')).toEqual({ code: 0, signal: null, said: 'terminated', wrong: '' })
  })
})
