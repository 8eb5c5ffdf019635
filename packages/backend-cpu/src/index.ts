export type { CpuBuffer } from './buffer.ts'
export { type CpuOptions, cpu } from './cpu.ts'
export type { CpuDevice } from './device.ts'
export type { Doctor } from './doctor.ts'
