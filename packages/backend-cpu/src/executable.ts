import { AttuneError, type Executable, type Program, type RunOptions, type SlotView } from '@attune/tensor'
import type { CpuBuffer } from './buffer.ts'
import type { CpuDevice } from './device.ts'
import { type Encoded, roundUp } from './encode.ts'

/** Fields of a job before its lengths and slots, as float64 (native/program.h); the first holds the abort word and the status. */
const header = 10

/** A program in device memory. Each run has a block that tells the native side what is bound; blocks are used again. */
export class CpuExecutable implements Executable {
  readonly #device: CpuDevice
  readonly #program: Program
  readonly #encoded: Encoded
  readonly #memory: CpuBuffer
  readonly #idle: CpuBuffer[] = []
  readonly #job: Float64Array
  readonly #bytes: Uint8Array
  #disposed = false

  constructor(device: CpuDevice, program: Program, encoded: Encoded) {
    this.#device = device
    this.#program = program
    this.#encoded = encoded
    const codeBytes = roundUp(encoded.code.byteLength)
    this.#memory = device.block(codeBytes + encoded.constants.byteLength)
    device.engine.copyIn(this.#memory.address, new Uint8Array(encoded.code.buffer))
    device.engine.copyIn(this.#memory.address + codeBytes, encoded.constants)
    this.#job = new Float64Array(header + program.lengths.length + program.slots)
    this.#bytes = new Uint8Array(this.#job.buffer)
    this.#job[1] = this.#memory.address
    this.#job[2] = this.#memory.address + codeBytes
    this.#job[6] = program.lengths.length
  }

  async run(lengths: readonly number[], slots: readonly SlotView[], { signal, profile }: RunOptions = {}): Promise<void> {
    const device = this.#device
    device.assertOpen()
    if (this.#disposed) throw new AttuneError('ERR_ARGUMENT', 'the program was disposed', {})
    if (signal?.aborted) throw new AttuneError('ERR_ABORTED', 'the run was aborted', {}, signal.reason)
    const files = this.#bind(lengths, slots)
    const launches = this.#program.launches.length
    const times = profile ? device.alloc(8 * launches) : undefined
    const block = this.#idle.pop() ?? device.block(this.#bytes.byteLength)
    this.#job[3] = times?.address ?? 0
    this.#job[4] = device.scratch.address
    this.#job[5] = device.scratch.each
    device.engine.copyIn(block.address, this.#bytes)
    try {
      await device.run(block.address, signal)
      for (const file of files) file.assertWhole()
      if (times && profile) device.engine.copyOut(times.address, new Uint8Array(profile.buffer, profile.byteOffset, 8 * launches))
    } finally {
      if (times) device.free(times)
      if (this.#disposed) device.free(block)
      else this.#idle.push(block)
    }
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#device.free(this.#memory)
    for (const b of this.#idle) this.#device.free(b)
  }

  /** Checks what a run binds and writes it into the job. Returns the mapped files among it. */
  #bind(lengths: readonly number[], slots: readonly SlotView[]): CpuBuffer[] {
    const files: CpuBuffer[] = []
    const known = this.#program.lengths
    if (lengths.length !== known.length || slots.length !== this.#program.slots)
      throw new AttuneError(
        'ERR_ARGUMENT',
        `the program has ${known.length} lengths and ${this.#program.slots} slots, the run ${lengths.length} and ${slots.length}`,
        {},
      )
    for (const [i, { name, max }] of known.entries()) {
      const value = lengths[i]
      if (!Number.isInteger(value) || value < 0 || value > max)
        throw new AttuneError('ERR_SHAPE', `length '${name}' is ${value}, capacity ${max}`, { length: name, value, max })
      this.#job[header + i] = value
    }
    for (const [i, use] of this.#encoded.slots.entries()) {
      if (use.extent === 0) continue
      const view = slots[i]
      if (!view?.buffer) throw new AttuneError('ERR_ARGUMENT', `slot ${i} is not bound`, { slot: i })
      const extent = this.#program.growing?.has(i) ? Math.min(use.extent, view.buffer.bytes - view.offset) : use.extent
      const b = this.#device.range(view.buffer, view.offset, extent)
      if (use.written && b.file) throw new AttuneError('ERR_ARGUMENT', `slot ${i} is written, a mapped file is bound to it`, { slot: i })
      if (b.file) files.push(b)
      this.#job[header + known.length + i] = b.address + view.offset
    }
    return files
  }
}
