import { AttuneError } from '@attune/expr'
import type { Device, DeviceBuffer, Executable, Launch, Program, RunOptions, SlotView } from './device.ts'

interface HostBuffer extends DeviceBuffer {
  readonly memory: Uint8Array
}

/** The device that runs every primitive's JS loops: slow, and the meaning of all others. Values are rounded to f32 as they are stored. */
export function reference(): Device {
  const own = (b: DeviceBuffer): Uint8Array => (b as HostBuffer).memory
  return {
    name: 'reference',
    host: true,
    kernels: [],
    limits: { maxBufferBytes: 2 ** 31, maxBindings: 1024, features: new Set(), threads: 1 },
    alloc: bytes => ({ bytes, memory: new Uint8Array(bytes) }) as HostBuffer,
    free: () => {},
    async write(buffer, bytes, offset = 0) {
      own(buffer).set(bytes, offset)
    },
    async read(buffer, offset, bytes) {
      return own(buffer).slice(offset, offset + bytes)
    },
    async load(program) {
      return executable(program, own)
    },
    async close() {},
  }
}

function executable(program: Program, own: (b: DeviceBuffer) => Uint8Array): Executable {
  return {
    async run(lengths: readonly number[], slots: readonly SlotView[], { signal, profile }: RunOptions = {}) {
      const n = new Map(program.lengths.map((l, i) => [l, lengths[i]]))
      let pause = performance.now() + 20
      for (const [i, launch] of program.launches.entries()) {
        if (signal?.aborted) throw new AttuneError('ERR_ABORTED', 'the run was aborted', {}, signal.reason)
        const from = performance.now()
        launch.loops!(b => memoryOf(launch, b, slots, own), n)
        if (profile) profile[i] = (performance.now() - from) * 1000
        if (performance.now() > pause) {
          await new Promise(r => setTimeout(r))
          pause = performance.now() + 20
        }
      }
    },
    dispose() {},
  }
}

function memoryOf(launch: Launch, binding: number, slots: readonly SlotView[], own: (b: DeviceBuffer) => Uint8Array): Uint8Array {
  const b = launch.bind[binding]
  if ('data' in b) return b.data
  if ('none' in b) return new Uint8Array(0)
  const { buffer, offset } = slots[b.slot]
  const memory = own(buffer)
  return memory.subarray(offset + b.offset, offset + b.offset + b.bytes)
}
