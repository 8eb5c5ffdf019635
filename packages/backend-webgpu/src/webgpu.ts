import { AttuneError } from '@attune/expr'
import { WebGpuDevice } from './device.ts'
import type { Gpu, GpuAdapter, GpuDevice } from './gpu.ts'

export interface WebGpuOptions {
  /** Where adapters come from; default: `navigator.gpu`. In Node: `@attune/backend-webgpu/node`. */
  readonly gpu?: Gpu
  readonly adapter?: GpuAdapter
  /** A device to share with a page's own rendering; `close` destroys it. */
  readonly device?: GpuDevice
  readonly powerPreference?: 'low-power' | 'high-performance'
}

const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
] as const
const FEATURES = ['subgroups', 'shader-f16', 'timestamp-query'] as const

/** Opens a WebGPU device with the adapter's own limits. Throws ERR_UNSUPPORTED where there is no WebGPU or no adapter. */
export async function webgpu(options: WebGpuOptions = {}): Promise<WebGpuDevice> {
  if (options.device) return new WebGpuDevice(options.device, 'webgpu', options)
  const gpu = options.gpu ?? (globalThis as { navigator?: { gpu?: Gpu } }).navigator?.gpu
  if (!options.adapter && !gpu)
    throw new AttuneError('ERR_UNSUPPORTED', 'this runtime has no navigator.gpu; in Node use @attune/backend-webgpu/node', {})
  const adapter = options.adapter ?? (await gpu!.requestAdapter({ powerPreference: options.powerPreference ?? 'high-performance' }))
  if (!adapter) throw new AttuneError('ERR_UNSUPPORTED', 'WebGPU finds no adapter: no GPU, or no driver for it', {})
  const limits = adapter.limits as Record<string, number>
  const device = await adapter.requestDevice({
    requiredLimits: Object.fromEntries(LIMITS.map(name => [name, limits[name]])),
    requiredFeatures: FEATURES.filter(name => adapter.features.has(name)),
  })
  const { vendor, architecture, description } = adapter.info
  return new WebGpuDevice(device, `webgpu (${[vendor, architecture].filter(Boolean).join(' ') || description || 'unnamed'})`, {
    gpu,
    adapter,
  })
}
