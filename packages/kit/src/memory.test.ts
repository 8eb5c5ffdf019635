import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gqa, mha, mqa } from '@attune/attention-heads'
import { type CpuDevice, type CpuOptions, cpu } from '@attune/backend-cpu'
import { allLogits, llama } from '@attune/models'
import { type OpenOptions, openModel } from '@attune/weights/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { COMMIT, type HubServer, hubServer } from '../../weights/test/hub-server.ts'
import { createKit, type Kit } from './kit.ts'
import type { LoadedModel } from './loaded-model.ts'

const fixture = join(import.meta.dirname, '../../models/test/fixtures/llama-gqa-tied')
const kitOn = (device: CpuDevice, options: OpenOptions = {}): Kit =>
  createKit({
    devices: [device],
    attention: [mha, mqa, gqa],
    models: [llama],
    open: (ref, o) => openModel(ref, { packages: {}, token: '', ...o, ...options, onProgress: undefined }),
  })

describe('a model that does not fit', () => {
  let server: HubServer
  let cache: string
  let size: number
  beforeAll(async () => {
    const files: Record<string, Uint8Array> = {}
    for (const name of ['config.json', 'model.safetensors']) files[name] = await readFile(join(fixture, name))
    size = files['model.safetensors'].length
    server = await hubServer({ ...files, 'tokenizer.json': new TextEncoder().encode('{}') })
    cache = await mkdtemp(join(tmpdir(), 'attune-memory-'))
  })
  afterAll(async () => {
    await server.close()
    await rm(cache, { recursive: true, force: true })
  })
  const fromHub = () => ({ endpoint: server.endpoint, cache })

  it('is refused by its headers before it is downloaded', async () => {
    const device = await cpu({ backend: 'wasm', workers: false, memory: 1000 })
    const error = await kitOn(device, fromHub())
      .load('org/model')
      .catch(e => e)
    expect(error).toMatchObject({ code: 'ERR_OOM', data: { available: 1000 } })
    expect(error.message).toMatch(/need \d+ bytes, cpu \(wasm .*\) has 1000 available/)
    expect(server.log.some(line => line.includes('tokenizer'))).toBe(false)
    const asked = server.log.map(line => / bytes=(\d+)-(\d+)$/.exec(line)).filter(r => r !== null)
    const header = Number(new DataView((await readFile(join(fixture, 'model.safetensors'))).buffer.slice(0, 8)).getBigUint64(0, true))
    expect(server.log.filter(line => line.includes(`resolve/${COMMIT}/model.safetensors`)).every(line => line.includes('bytes='))).toBe(
      true,
    )
    expect(Math.max(...asked.map(r => Number(r[2])))).toBeLessThan(Math.max(8 + header, 2000))
    expect(header).toBeLessThan(size / 4)
    expect(await readdir(cache)).toEqual([])
    await device.close()
  })

  it('is refused before it is read, with all its weights counted', async () => {
    const device = await cpu({ memory: 100_000 })
    const checkpoint = await openModel(fixture)
    for (const tensor of checkpoint.tensors.values())
      for (const read of ['read', 'readInto', 'readRows', 'pieces'] as const)
        Object.assign(tensor, {
          [read]: () => {
            throw new Error('read')
          },
        })
    const total = [...checkpoint.tensors.values()].reduce((n, t) => n + 4 * t.shape.reduce((a, b) => a * b, 1), 0)
    const error = await kitOn(device)
      .load(checkpoint, { weights: 'f32' })
      .catch(e => e)
    expect(error).toMatchObject({ code: 'ERR_OOM', data: { needed: total, available: 100_000 } })
    await checkpoint.close()
    await device.close()
  })

  it('is refused where one tensor is larger than any buffer may be', async () => {
    const device = await cpu({ threads: 1 })
    Object.assign(device.limits, { maxBufferBytes: 5000 })
    await expect(kitOn(device).load(fixture)).rejects.toMatchObject({
      code: 'ERR_OOM',
      data: { available: 5000, tensor: expect.any(String) },
    })
    await device.close()
  })

  it('that fits is downloaded and loaded', async () => {
    const device = await cpu({ backend: 'wasm', workers: false })
    const model = await kitOn(device, fromHub()).load('org/model')
    expect(server.log.some(line => line.endsWith('/tokenizer.json'))).toBe(true)
    expect(server.log.at(-1)).toBe(`GET /org/model/resolve/${COMMIT}/model.safetensors`) // whole
    await model.dispose()
    await model.checkpoint.close()
    await device.close()
  })
})

describe.each([
  ['with workers', {}],
  ['on one thread', { workers: false }],
] as [string, CpuOptions][])('WebAssembly %s', (_, options) => {
  it('drops its heap with the last model and comes back with the next', async () => {
    const device = await cpu({ backend: 'wasm', threads: 2, ...options })
    const kit = kitOn(device)
    const empty = device.room()
    const [a, b] = [await kit.load(fixture), await kit.load(fixture)]
    const before = await logits(a)
    expect(await logits(b)).toEqual(before)
    await a.dispose()
    expect(device.room()).toBeLessThan(empty)
    expect(await logits(b)).toEqual(before) // its heap is still there
    await b.dispose()
    expect(device.room()).toBeGreaterThanOrEqual(empty)
    await device.rest()
    const c = await kit.load(fixture)
    expect(await logits(c)).toEqual(before)
    await c.dispose()
    for (const model of [a, b, c]) await model.checkpoint.close()
    await device.close()
    await device.rest()
    expect(() => device.alloc(1)).toThrow(expect.objectContaining({ code: 'ERR_DEVICE_LOST' }))
  })
})

async function logits({ runner }: LoadedModel): Promise<number[]> {
  const out: number[] = []
  const sequence = runner.open()
  await runner.feed(sequence, [5, 6, 7], allLogits, async r => void out.push(...(await r.read('logits')).data))
  runner.close(sequence)
  return out
}
