import { AttuneError } from '@attune/expr'
import type { Device, DeviceBuffer, Executable, Kernel, Limits, Program } from '@attune/tensor'
import { loadProgram } from './executable.ts'
import { type GpuBuffer, type GpuDevice, MAP_READ, USAGE } from './gpu.ts'
import { kernels } from './kernels/index.ts'
import { patchWord } from './patch.ts'
import { Pipelines } from './pipelines.ts'

export interface WebGpuBuffer extends DeviceBuffer {
  /** At least 16 bytes longer than `bytes`, so that an empty range at the end can be bound. */
  readonly gpu: GpuBuffer
}

const PIECE = 16 * 2 ** 20

/** WebGPU as a device: memory is storage buffers, a program is a flat list of dispatches. */
export class WebGpuDevice implements Device {
  readonly limits: Limits
  readonly kernels: readonly Kernel<any>[] = kernels
  readonly pipelines: Pipelines
  readonly #buffers = new Map<WebGpuBuffer, { failed?: string }>()
  #tail: Promise<unknown> | undefined
  #gone: { code: 'ERR_DEVICE_LOST' | 'ERR_ARGUMENT'; message: string } | undefined

  /** `kept` is held as long as the device: Dawn's instance must outlive what it made. */
  constructor(
    readonly gpu: GpuDevice,
    readonly name: string,
    readonly kept: unknown,
  ) {
    this.pipelines = new Pipelines(gpu)
    this.limits = {
      maxBufferBytes: Math.min(gpu.limits.maxBufferSize - 32, gpu.limits.maxStorageBufferBindingSize - 32),
      // Operands in the same buffer share a binding and small ones are packed, so the API's limit (8 in general) is not a kernel's.
      maxBindings: 64,
      features: new Set(['subgroups', 'shader-f16', 'timestamp-query'].filter(f => gpu.features.has(f))),
      threads: 1,
    }
    void gpu.lost.then(({ message, reason }) => {
      this.#gone ??= { code: 'ERR_DEVICE_LOST', message: `the GPU device was lost: ${message || reason}` }
    })
  }

  alloc(bytes: number): WebGpuBuffer {
    this.assertAlive()
    if (!Number.isInteger(bytes) || bytes < 0) throw new AttuneError('ERR_ARGUMENT', `cannot allocate ${bytes} bytes`, { bytes })
    const available = this.limits.maxBufferBytes
    if (bytes > available)
      throw new AttuneError('ERR_OOM', `${bytes} bytes wanted, ${available} available in one buffer of ${this.name}`, {
        wanted: bytes,
        available,
      })
    this.gpu.pushErrorScope('out-of-memory')
    const gpu = this.gpu.createBuffer({
      size: Math.ceil((bytes + 16) / 16) * 16,
      usage: USAGE.storage | USAGE.copySource | USAGE.copyTarget,
    })
    const buffer: WebGpuBuffer = { bytes, gpu }
    const entry: { failed?: string } = {}
    void this.gpu.popErrorScope().then(
      error => {
        if (error) entry.failed = error.message
      },
      () => {},
    )
    this.#buffers.set(buffer, entry)
    return buffer
  }

  free(buffer: DeviceBuffer): void {
    if (this.#buffers.delete(buffer as WebGpuBuffer)) void this.inOrder(async () => (buffer as WebGpuBuffer).gpu.destroy()).catch(() => {})
  }

  async write(buffer: DeviceBuffer, bytes: Uint8Array, offset = 0): Promise<void> {
    const { gpu } = this.own(buffer)
    checkRange(buffer, offset, bytes.byteLength)
    await this.inOrder(async () => {
      // The API moves whole words: what begins or ends inside one is merged by a dispatch.
      let from = 0
      const end = bytes.byteLength
      const head = Math.min(end, -offset & 3)
      if (head > 0) await patchWord(this, gpu, offset, bytes.subarray(0, head))
      from = head
      const whole = (end - from) & ~3
      for (let at = 0; at < whole; at += PIECE) {
        if (at > 0) await new Promise(r => setTimeout(r))
        this.gpu.queue.writeBuffer(gpu, offset + from + at, bytes, from + at, Math.min(PIECE, whole - at))
      }
      from += whole
      if (from < end) await patchWord(this, gpu, offset + from, bytes.subarray(from))
    })
  }

  async read(buffer: DeviceBuffer, offset: number, bytes: number): Promise<Uint8Array> {
    const { gpu } = this.own(buffer)
    checkRange(buffer, offset, bytes)
    if (bytes === 0) return new Uint8Array(0)
    const from = offset & ~3
    const size = (offset + bytes - from + 3) & ~3
    const staging = await this.inOrder(async () => {
      const target = this.gpu.createBuffer({ size, usage: USAGE.mapRead | USAGE.copyTarget })
      const encoder = this.gpu.createCommandEncoder()
      encoder.copyBufferToBuffer(gpu, from, target, 0, size)
      this.gpu.queue.submit([encoder.finish()])
      return target
    })
    try {
      await staging.mapAsync(MAP_READ)
      return new Uint8Array(staging.getMappedRange().slice(offset - from, offset - from + bytes))
    } catch (error) {
      this.assertAlive()
      throw new AttuneError('ERR_DEVICE_LOST', `${bytes} bytes could not be read back`, { bytes }, error)
    } finally {
      staging.destroy()
    }
  }

  async load(program: Program): Promise<Executable> {
    this.assertAlive()
    return loadProgram(this, program)
  }

  async close(): Promise<void> {
    if (this.#gone?.code === 'ERR_ARGUMENT') return
    await this.#tail
    await this.gpu.queue.onSubmittedWorkDone().catch(() => {})
    this.#gone = { code: 'ERR_ARGUMENT', message: `${this.name} is closed` }
    for (const { gpu } of this.#buffers.keys()) gpu.destroy()
    this.#buffers.clear()
    this.gpu.destroy()
  }

  /** A live buffer of this device. */
  own(buffer: DeviceBuffer): WebGpuBuffer {
    this.assertAlive()
    const entry = this.#buffers.get(buffer as WebGpuBuffer)
    if (!entry) throw new AttuneError('ERR_ARGUMENT', `the buffer of ${buffer?.bytes} bytes is another device's or was freed`, {})
    if (entry.failed)
      throw new AttuneError('ERR_OOM', `${buffer.bytes} bytes wanted: ${entry.failed}`, { wanted: buffer.bytes, available: undefined })
    return buffer as WebGpuBuffer
  }

  /** Puts work on the queue in the order of the calls; at once when nothing is being put there. */
  async inOrder<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#tail
    const run = before ? before.then(work) : work()
    const tail: Promise<unknown> = run
      .catch(() => {})
      .then(() => {
        if (this.#tail === tail) this.#tail = undefined
      })
    this.#tail = tail
    return run
  }

  /** Throws ERR_DEVICE_LOST when the GPU is gone, ERR_ARGUMENT when the device was closed. */
  assertAlive(): void {
    if (this.#gone) throw new AttuneError(this.#gone.code, this.#gone.message, {})
  }
}

function checkRange(buffer: DeviceBuffer, offset: number, bytes: number): void {
  if (!(offset >= 0 && Number.isInteger(offset) && bytes >= 0 && offset + bytes <= buffer.bytes))
    throw new AttuneError('ERR_SHAPE', `bytes ${offset} … ${offset + bytes} of a buffer of ${buffer.bytes}`, {
      offset,
      bytes,
      have: buffer.bytes,
    })
}
