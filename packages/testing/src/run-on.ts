import { type Device, record, type Tensor } from '@attune/tensor'

/** Outputs of a graph, run once on a device. */
export async function runOn(
  device: Device,
  outputs: Readonly<Record<string, Tensor>>,
  lengths: Readonly<Record<string, number>>,
  inputs: Record<string, Float32Array | Int32Array>,
) {
  const r = await record(device, { outputs })
  await r.run({ lengths, inputs })
  const out: Record<string, Awaited<ReturnType<typeof r.read>>> = {}
  for (const key of Object.keys(outputs)) out[key] = await r.read(key)
  r.dispose()
  r.arena.dispose()
  return out
}
