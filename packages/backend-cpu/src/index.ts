export { type CpuOptions, cpu } from './cpu.ts'
export type { CpuBuffer, CpuDevice } from './device.ts'
export type { Doctor } from './doctor.ts'
