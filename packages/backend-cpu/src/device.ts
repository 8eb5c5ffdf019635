import {
  AttuneError,
  Breath,
  type Device,
  type DeviceBuffer,
  type Executable,
  type Kernel,
  type Limits,
  type Program,
} from '@attune/tensor'
import { CpuBuffer } from './buffer.ts'
import type { Doctor } from './doctor.ts'
import { encode, roundUp } from './encode.ts'
import { type Engine, type Mapping, queueLimit } from './engine.ts'
import { CpuExecutable } from './executable.ts'

/** Copies on the event loop happen in pieces of this size; about a millisecond each. */
const piece = 4 * 2 ** 20

/**
 * The CPU device. Runs, reads and writes take effect in the order of their calls; `bytes` given to `write` must not change until it
 * resolves. Memory freed while runs are under way is returned when they have ended.
 */
export class CpuDevice implements Device {
  readonly name: string
  readonly limits: Limits
  readonly maps?: Device['maps']
  /** Kernel names → indices of the compiled table. */
  readonly table: ReadonlyMap<string, number>
  readonly breath = new Breath()
  readonly #live = new Set<CpuBuffer>()
  readonly #running = new Map<number, (error: AttuneError) => void>()
  #scratch = { address: 0, bytes: 0, each: 0 }
  #held = 0
  /** The last copy and the last run not yet ended; neither rejects. */
  #copies: Promise<void> | undefined
  #runs: Promise<void> = Promise.resolve()
  /** The last buffer whose memory waits to be given back. */
  #releases: Promise<void> = Promise.resolve()
  /** Present while runs wait to be started: none may overtake them. */
  #entry: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(
    readonly engine: Engine,
    readonly kernels: readonly Kernel[],
    readonly diagnosis: Doctor,
    /** Most bytes the device may hold. */
    readonly memory: number,
    mapFiles = false,
  ) {
    if (mapFiles && engine.map) this.maps = ({ path, offset, bytes }) => this.mapFile(path, offset, bytes)
    this.name = `cpu (${engine.kind} ${engine.isa})`
    this.table = new Map(engine.kernels.map((name, i) => [name, i]))
    this.limits = {
      maxBufferBytes: Math.min(memory, engine.maxBufferBytes),
      maxBindings: 32,
      features: new Set(engine.features),
      threads: engine.threads,
    }
  }

  /** Which build is in use, and why not a faster one. */
  doctor(): Doctor {
    return this.diagnosis
  }

  alloc(bytes: number): CpuBuffer {
    const { buffer, dirty } = this.#block(bytes)
    if (dirty <= 8 * piece) this.engine.zero(buffer.address, dirty)
    else void this.#copy(() => this.#pieces(dirty, (at, n) => this.engine.zero(buffer.address + at, n)))
    return buffer
  }
  /** Memory with undefined contents, for a caller that fills it at once. */
  block(bytes: number): CpuBuffer {
    return this.#block(bytes).buffer
  }

  free(buffer: DeviceBuffer): void {
    const b = this.own(buffer, true)
    if (b.freed) return
    b.freed = true
    this.#live.delete(b)
    this.#whenIdle(() => this.#release(b))
  }
  room(): number {
    return Math.max(0, Math.min(this.memory - this.#held, this.engine.available()))
  }
  /** Drops the WebAssembly heap and its workers if no buffer and no program is left; the next allocation opens others. */
  async rest(): Promise<void> {
    await Promise.all([this.#copies, this.#runs])
    await this.#releases
    if (this.#closing || this.#live.size > 0 || this.#copies || this.#entry || this.#running.size > 0) return
    this.#dropScratch()
    await this.engine.rest?.()
  }

  /**
   * A read-only buffer of `bytes` bytes at `offset` of a local file. Native: mapped, so it costs memory only where it is read and shares
   * the system's page cache. Reads and runs that touch what such a file has lost meanwhile reject with `ERR_FORMAT`; bytes that others
   * change in it are seen changed. WebAssembly: read into the heap.
   */
  async mapFile(path: string, offset = 0, bytes?: number): Promise<CpuBuffer> {
    this.assertOpen()
    const { mapFile } = await import('./map-file.ts')
    return mapFile(this, path, offset, bytes)
  }
  /** Takes over memory that was mapped elsewhere. */
  adopt(path: string, bytes: number, mapping: Mapping): CpuBuffer {
    const buffer = new CpuBuffer(this, bytes, mapping.address, { ...mapping, path })
    this.#live.add(buffer)
    return buffer
  }

  async write(buffer: DeviceBuffer, bytes: Uint8Array, offset = 0): Promise<void> {
    const b = this.range(buffer, offset, bytes.byteLength)
    if (b.file) throw new AttuneError('ERR_ARGUMENT', 'a mapped file cannot be written', { bytes: b.bytes })
    const put = (at: number, n: number) => this.engine.copyIn(b.address + offset + at, bytes.subarray(at, at + n))
    if (this.#calm(bytes.byteLength)) return put(0, bytes.byteLength)
    return this.#copy(() => this.#pieces(bytes.byteLength, put))
  }

  async read(buffer: DeviceBuffer, offset: number, bytes: number): Promise<Uint8Array> {
    const b = this.range(buffer, offset, bytes)
    const out = new Uint8Array(bytes)
    const get = (at: number, n: number) => this.engine.copyOut(b.address + offset + at, out.subarray(at, at + n))
    if (this.#calm(bytes)) get(0, bytes)
    else await this.#copy(() => this.#pieces(bytes, get))
    b.assertWhole()
    return out
  }

  async load(program: Program): Promise<Executable> {
    this.assertOpen()
    const encoded = encode(program, this.table)
    this.#needScratch(encoded.scratch)
    return new CpuExecutable(this, program, encoded)
  }

  /** Ends runs under way with ERR_DEVICE_LOST, joins the threads and frees all memory. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  // ---- for executables

  get scratch(): { readonly address: number; readonly each: number } {
    return this.#scratch
  }
  /** Runs a job after everything called before it. `signal` has not been aborted yet. */
  run(job: number, signal: AbortSignal | undefined): Promise<void> {
    const ended = this.#entry || this.#copies || this.#running.size >= queueLimit ? this.#enter(job, signal) : this.#start(job, signal)
    this.#runs = ended.then(ignore, ignore)
    return ended
  }
  own(buffer: DeviceBuffer, freed = false): CpuBuffer {
    if (!(buffer instanceof CpuBuffer) || buffer.owner !== this)
      throw new AttuneError('ERR_ARGUMENT', 'the buffer belongs to another device', {})
    if (buffer.freed && !freed) throw new AttuneError('ERR_ARGUMENT', `the buffer of ${buffer.bytes} bytes was freed`, {})
    return buffer
  }
  range(buffer: DeviceBuffer, offset: number, bytes: number): CpuBuffer {
    this.assertOpen()
    const b = this.own(buffer)
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= b.bytes && Number.isSafeInteger(offset)))
      throw new AttuneError('ERR_SHAPE', `bytes ${offset} … ${offset + bytes} are outside a buffer of ${b.bytes}`, {
        offset,
        bytes,
        have: b.bytes,
      })
    return b
  }
  assertOpen(): void {
    if (this.#closing) throw new AttuneError('ERR_DEVICE_LOST', `${this.name} was closed`, {})
  }

  // ---- inside

  #block(bytes: number): { buffer: CpuBuffer; dirty: number } {
    this.assertOpen()
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new AttuneError('ERR_ARGUMENT', `cannot allocate ${bytes} bytes`, { bytes })
    const { address, dirty } = this.#take(bytes)
    const buffer = new CpuBuffer(this, bytes, address)
    this.#live.add(buffer)
    return { buffer, dirty: Math.min(dirty, bytes) }
  }
  #take(bytes: number): { address: number; dirty: number } {
    const block = this.#held + bytes <= this.memory ? this.engine.alloc(bytes) : undefined
    if (!block) {
      const available = this.room()
      throw new AttuneError('ERR_OOM', `${this.name}: ${bytes} bytes wanted, ${available} available`, { wanted: bytes, available })
    }
    this.#held += bytes
    return block
  }
  #release(b: CpuBuffer): void {
    if (b.file) return b.file.unmap()
    this.engine.free(b.address, b.bytes)
    this.#held -= b.bytes
  }
  #whenIdle(f: () => void): void {
    if (this.#running.size === 0 && !this.#copies && !this.#entry) f()
    else this.#releases = Promise.all([this.#copies, this.#runs, this.#releases]).then(f)
  }

  /** Whether a copy of this size may be made right now. */
  #calm(bytes: number): boolean {
    return bytes <= piece && !this.#copies && !this.#entry && this.#running.size === 0 && this.breath.left > 0
  }
  #copy(work: () => Promise<void>): Promise<void> {
    const done = Promise.all([this.#copies, this.#runs]).then(work)
    const settled = done.then(ignore, ignore)
    this.#copies = settled
    void settled.then(() => {
      if (this.#copies === settled) this.#copies = undefined
    })
    return done
  }
  async #pieces(bytes: number, f: (at: number, n: number) => void): Promise<void> {
    for (let at = 0; at < bytes; at += piece) {
      await this.breath.pause()
      this.assertOpen()
      f(at, Math.min(piece, bytes - at))
    }
  }

  /** Starts a run after the copies and the waiting runs before it, and when there is room for it. */
  #enter(job: number, signal: AbortSignal | undefined): Promise<void> {
    const room = this.#running.size >= queueLimit ? this.#runs : undefined
    const entry = Promise.all([this.#copies, this.#entry, room]).then(ignore)
    this.#entry = entry
    return entry.then(() => {
      if (this.#entry === entry) this.#entry = undefined
      return this.#start(job, signal)
    })
  }
  #start(job: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((done, fail) => {
      if (this.#closing) return fail(new AttuneError('ERR_DEVICE_LOST', `${this.name} was closed`, {}))
      const stop = () => this.engine.abort(job)
      signal?.addEventListener('abort', stop)
      if (signal?.aborted) stop()
      let lost: AttuneError | undefined
      this.#running.set(job, error => {
        lost = error
        stop()
      })
      this.engine.submit(job, (aborted, cause) => {
        this.#running.delete(job)
        signal?.removeEventListener('abort', stop)
        if (cause) fail(new AttuneError('ERR_DEVICE_LOST', `${this.name}: ${cause.message}`, {}, cause))
        else if (!aborted) done()
        else fail(lost ?? new AttuneError('ERR_ABORTED', 'the run was aborted', {}, signal?.reason))
      })
    })
  }

  /** Scratch is shared by all programs: runs are one after another. Older blocks stay until the runs that know them have ended. */
  #needScratch(each: number): void {
    if (each <= this.#scratch.each) return
    const old = this.#scratch
    const bytes = roundUp(each) * this.engine.threads
    this.#scratch = { address: this.#take(bytes).address, bytes, each: roundUp(each) }
    if (old.bytes > 0)
      this.#whenIdle(() => {
        this.engine.free(old.address, old.bytes)
        this.#held -= old.bytes
      })
  }

  async #close(): Promise<void> {
    await Promise.resolve() // #closing is set before anything below asks for it
    const error = new AttuneError('ERR_DEVICE_LOST', `${this.name} was closed`, {})
    for (const end of this.#running.values()) end(error)
    await Promise.all([this.#copies, this.#runs])
    for (const b of this.#live) {
      b.freed = true
      this.#release(b)
    }
    this.#live.clear()
    this.#dropScratch()
    await this.engine.close()
  }
  #dropScratch(): void {
    const { address, bytes } = this.#scratch
    if (bytes === 0) return
    this.engine.free(address, bytes)
    this.#held -= bytes
    this.#scratch = { address: 0, bytes: 0, each: 0 }
  }
}

const ignore = (): void => {}
