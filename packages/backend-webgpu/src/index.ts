export type { WebGpuDevice } from './device.ts'
export type { Gpu, GpuAdapter, GpuDevice } from './gpu.ts'
export { kernels } from './kernels/index.ts'
export { type WebGpuOptions, webgpu } from './webgpu.ts'
