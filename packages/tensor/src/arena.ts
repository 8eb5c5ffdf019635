import type { Device, DeviceBuffer } from './device.ts'

/** A value of a step: where it lives between the launch that writes it and the last one that reads it. */
export interface Lifetime {
  readonly bytes: number
  readonly from: number
  to: number
  offset: number
}

const ALIGN = 64

/** Places lifetimes so that values alive together never overlap; returns the bytes needed. Largest first, lowest free gap. */
export function placeLifetimes(values: readonly Lifetime[]): number {
  const placed: Lifetime[] = []
  let total = 0
  for (const v of [...values].sort((a, b) => b.bytes - a.bytes || a.from - b.from)) {
    const size = padded(v.bytes)
    let at = 0
    for (const p of placed) {
      if (p.to < v.from || v.to < p.from) continue
      if (at + size <= p.offset) break
      at = Math.max(at, p.offset + padded(p.bytes))
    }
    v.offset = at
    total = Math.max(total, at + size)
    const i = placed.findIndex(p => p.offset > at)
    placed.splice(i < 0 ? placed.length : i, 0, v)
  }
  return total
}
const padded = (n: number): number => Math.ceil(Math.max(n, 1) / ALIGN) * ALIGN

/** The memory of steps' intermediate values, shared by recordings that never run at the same time. */
export class Arena {
  #buffer: DeviceBuffer | undefined
  /** How often memory was allocated: a decode loop inside one bucket must not raise it. */
  allocations = 0
  constructor(readonly device: Device) {}
  buffer(bytes: number): DeviceBuffer {
    if (!this.#buffer || this.#buffer.bytes < bytes) {
      this.dispose()
      this.#buffer = this.device.alloc(Math.max(bytes, ALIGN))
      this.allocations++
    }
    return this.#buffer
  }
  get bytes(): number {
    return this.#buffer?.bytes ?? 0
  }
  dispose(): void {
    if (this.#buffer) this.device.free(this.#buffer)
    this.#buffer = undefined
  }
}
