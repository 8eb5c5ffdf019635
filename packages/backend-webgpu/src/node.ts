import { AttuneError } from '@attune/expr'
import type { WebGpuDevice } from './device.ts'
import type { Gpu } from './gpu.ts'
import { type WebGpuOptions, webgpu } from './webgpu.ts'

export interface NodeWebGpuOptions extends WebGpuOptions {
  /** Dawn's own settings, for example `backend=vulkan`. */
  readonly dawn?: readonly string[]
}

/** Opens a WebGPU device in Node, on Dawn from the optional package `webgpu`. ERR_UNSUPPORTED where it is missing or finds no adapter. */
export async function nodeWebgpu({ dawn = [], ...options }: NodeWebGpuOptions = {}): Promise<WebGpuDevice> {
  if (options.gpu || options.adapter || options.device) return webgpu(options)
  return webgpu({ ...options, gpu: await instance(dawn) })
}

export { nodeWebgpu as webgpu }

const instances = new Map<string, Gpu>()

/** Dawn's entry point, once per settings and kept for the life of the process: it crashes when what it made outlives it. */
async function instance(flags: readonly string[]): Promise<Gpu> {
  const key = flags.join(' ')
  const known = instances.get(key)
  if (known) return known
  const name = 'webgpu' // optional: bundlers need not find it
  const dawn: { create(flags: readonly string[]): Gpu } = await import(/* @vite-ignore */ name).catch(error => {
    throw new AttuneError('ERR_UNSUPPORTED', "WebGPU in Node needs the package 'webgpu': npm install webgpu", { package: name }, error)
  })
  const made = dawn.create(flags)
  instances.set(key, made)
  return made
}
