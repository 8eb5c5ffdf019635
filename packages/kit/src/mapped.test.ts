import { cp, mkdtemp, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gqa, mha, mqa } from '@attune/attention-heads'
import { type CpuOptions, cpu } from '@attune/backend-cpu'
import { allLogits, llama } from '@attune/models'
import { openModel } from '@attune/weights/node'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createKit } from './kit.ts'
import type { LoadedModel } from './loaded-model.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-mapped-'))
  await cp(join(import.meta.dirname, '../../models/test/fixtures/llama-gqa-tied'), folder, { recursive: true })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** What `body` makes of the model on a device, and the sizes of the blocks that loading took. */
async function loaded<T>(options: CpuOptions, body: (model: LoadedModel) => Promise<T>): Promise<{ result: T; blocks: number[] }> {
  const device = await cpu({ threads: 2, ...options })
  const blocks: number[] = []
  const { alloc } = device
  device.alloc = bytes => {
    blocks.push(bytes)
    return alloc.call(device, bytes)
  }
  const kit = createKit({ devices: [device], attention: [mha, mqa, gqa], models: [llama], open: openModel })
  const model = await kit.load(folder)
  const taken = [...blocks]
  try {
    return { result: await body(model), blocks: taken }
  } finally {
    await model.dispose()
    await kit.close()
  }
}

async function logits({ runner }: LoadedModel): Promise<number[]> {
  const out: number[] = []
  const sequence = runner.open()
  await runner.feed(sequence, [5, 6, 7], allLogits, async r => void out.push(...(await r.read('logits')).data))
  runner.close(sequence)
  return out
}

it('weights that are read where they lie give the same logits to the bit', async () => {
  const copied = await loaded({ backend: 'native' }, logits)
  const mapped = await loaded({ backend: 'native', mapFiles: true }, logits)
  expect(mapped.result).toEqual(copied.result)
  expect(copied.blocks.length).toBeGreaterThan(10)
  expect(mapped.blocks).toEqual([])
  const wasm = await loaded({ backend: 'wasm', mapFiles: true }, async () => {})
  expect(wasm.blocks).toEqual(copied.blocks) // has no files in its heap
})

it.skipIf(process.platform === 'win32')('a model whose file was cut says so, and only if it was mapped', async () => {
  const cut = async (model: LoadedModel) => {
    await truncate(join(folder, 'model.safetensors'), 4096)
    return logits(model)
  }
  await expect(loaded({ backend: 'native', mapFiles: true }, cut)).rejects.toMatchObject({
    code: 'ERR_FORMAT',
    data: { path: join(folder, 'model.safetensors') },
  })
  await cp(join(import.meta.dirname, '../../models/test/fixtures/llama-gqa-tied'), folder, { recursive: true })
  const want = await loaded({ backend: 'native' }, logits)
  expect((await loaded({ backend: 'native' }, cut)).result).toEqual(want.result)
})
