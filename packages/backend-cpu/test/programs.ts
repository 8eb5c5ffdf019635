import type { Device, Executable, Launch, SlotView } from '@attune/tensor'

/** A launch that copies `n` floats from the start of one slot to the start of another. */
export const copyLaunch = (from: number, to: number, n: number): Launch => ({
  text: 'copy',
  op: 'copy',
  threadScratch: 0,
  params: [n],
  bind: [
    { slot: from, offset: 0, bytes: 4 * n, write: false },
    { slot: to, offset: 0, bytes: 4 * n, write: true },
  ],
})

/** A program that keeps the device busy for about `ms` milliseconds by copying 16 MiB back and forth. */
export async function longProgram(device: Device, ms: number): Promise<{ program: Executable; slots: SlotView[]; launches: number }> {
  const n = 4 * 2 ** 20
  const slots = [0, 1].map(() => ({ buffer: device.alloc(4 * n), offset: 0 }))
  const load = (count: number) =>
    device.load({ launches: Array.from({ length: count }, (_, i) => copyLaunch(i % 2, 1 - (i % 2), n)), lengths: [], slots: 2 })
  const probe = await load(20)
  await probe.run([], slots) // touches the memory
  const begin = performance.now()
  await probe.run([], slots)
  const launches = Math.ceil((ms / (performance.now() - begin)) * 20)
  probe.dispose()
  return { program: await load(launches), slots, launches }
}
