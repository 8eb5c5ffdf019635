import { fileURLToPath } from 'node:url'
import { quantised } from '@attune/cache'
import { openModel } from '@attune/weights/node'
import { createAttune, type KitOptions } from 'attune'
import { expect, it } from 'vitest'

const toy = fileURLToPath(new URL('../../../apps/cli/assets/toy', import.meta.url))

it('gives what opens a model the options of opening alone, and closes what it opened', async () => {
  const given: object[] = []
  let closed = 0
  const open: KitOptions['open'] = async (ref, options) => {
    given.push(options)
    const checkpoint = await openModel(ref, options)
    return { ...checkpoint, close: () => checkpoint.close().then(() => void closed++) }
  }
  const kit = await createAttune({ open })
  const { signal } = new AbortController()
  await kit.load(toy, { cache: quantised(), kv: 'f16', onProgress: () => {}, signal })
  expect(given).toEqual([{ signal, onEvent: undefined, check: expect.any(Function) }])
  await kit.close()
  await kit.close()
  expect(closed).toBe(1)
})

it('finds a device by the first word of its name', async () => {
  const kit = await createAttune()
  expect(kit.device('cpu')).toBe(kit.device())
  for (const name of ['cp', 'webgpu', 'cpu-2']) expect(() => kit.device(name)).toThrow(/is not among cpu \(/)
  await kit.close()
})
