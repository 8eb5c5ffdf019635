import { AttuneError } from '@attune/expr'
import type { Executable, Launch, LengthValues, Program, RunOptions, SlotView } from '@attune/tensor'
import { Bindings } from './bindings.ts'
import type { WebGpuDevice } from './device.ts'
import type { GpuCommandEncoder } from './gpu.ts'
import { paramValue } from './wgsl/text.ts'

/** Dispatches submitted between two looks at the abort signal. */
const PIECE = 16

/** Compiles a program's kernels and lays out its uniforms. Slots are bound at the first run and again where they change. */
export async function loadProgram(device: WebGpuDevice, program: Program): Promise<Executable> {
  const bindings = new Bindings(device, program)
  await bindings.compile()
  return new WebGpuExecutable(device, program, bindings)
}

class WebGpuExecutable implements Executable {
  readonly #grids: (readonly [number, number, number])[] = []
  #lengths: readonly number[] | undefined
  #disposed = false

  constructor(
    readonly device: WebGpuDevice,
    readonly program: Program,
    readonly bindings: Bindings,
  ) {}

  async run(lengths: readonly number[], slots: readonly SlotView[], { signal, profile }: RunOptions = {}): Promise<void> {
    const { device } = this
    if (this.#disposed) throw new AttuneError('ERR_ARGUMENT', 'the program was disposed', {})
    if (signal?.aborted) throw aborted(signal)
    this.#check(lengths, slots)
    await device.inOrder(() => this.#guarded(lengths, slots, { signal, profile }))
    await until(device.gpu.queue.onSubmittedWorkDone(), signal)
    device.assertAlive()
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    void this.device.inOrder(async () => this.bindings.dispose()).catch(() => {})
  }

  async #guarded(lengths: readonly number[], slots: readonly SlotView[], { signal, profile }: RunOptions): Promise<void> {
    const { device, bindings } = this
    device.gpu.pushErrorScope('validation')
    let error: { readonly message: string } | null = null
    try {
      await bindings.bind(slots)
      this.#resize(lengths)
      bindings.upload()
      await this.#submit(signal, profile)
    } finally {
      error = await device.gpu.popErrorScope()
    }
    if (error) throw new AttuneError('ERR_UNSUPPORTED', `${device.name} refused a run: ${error.message}`, {})
  }

  async #submit(signal: AbortSignal | undefined, profile: Float64Array | undefined): Promise<void> {
    const { gpu } = this.device
    const { launches } = this.program
    const step = profile ? 1 : signal ? PIECE : launches.length
    for (let from = 0; from < launches.length || from === 0; from += Math.max(step, 1)) {
      if (from > 0 && signal) await until(gpu.queue.onSubmittedWorkDone(), signal)
      const started = performance.now()
      const encoder = gpu.createCommandEncoder()
      if (from === 0) this.bindings.pack(encoder)
      this.#encode(encoder, from, Math.min(launches.length, from + step))
      gpu.queue.submit([encoder.finish()])
      if (!profile) continue
      await gpu.queue.onSubmittedWorkDone()
      profile[from] = (performance.now() - started) * 1000
    }
  }

  #encode(encoder: GpuCommandEncoder, from: number, to: number): void {
    const pass = encoder.beginComputePass()
    for (let i = from; i < to; i++) {
      const [x, y, z] = this.#grids[i]
      if (x * y * z === 0) continue
      const { pipeline, group } = this.bindings.launches[i]
      pass.setPipeline(pipeline!.pipeline)
      pass.setBindGroup(0, group)
      pass.dispatchWorkgroups(x, y, z)
    }
    pass.end()
  }

  /** Grids and parameters for this run's lengths. */
  #resize(lengths: readonly number[]): void {
    if (this.#lengths && lengths.every((v, i) => v === this.#lengths![i])) return
    const n: LengthValues = new Map(this.program.lengths.map((l, i) => [l, lengths[i]]))
    this.program.launches.forEach((launch, i) => {
      this.#grids[i] = gridOf(launch, n)
      launch.params.forEach((p, j) => {
        const at = this.bindings.parameterAt(i, j)
        const into = typeof p === 'object' && 'f32' in p ? this.bindings.floats : this.bindings.words
        into[at] = paramValue(p, n)
      })
    })
    this.#lengths = [...lengths]
    this.bindings.changed = true
  }

  #check(lengths: readonly number[], slots: readonly SlotView[]): void {
    const { program, device } = this
    if (lengths.length !== program.lengths.length || slots.length !== program.slots)
      throw new AttuneError(
        'ERR_ARGUMENT',
        `the program has ${program.lengths.length} lengths and ${program.slots} slots, given were ${lengths.length} and ${slots.length}`,
        {},
      )
    this.bindings.extents.forEach((need, slot) => {
      if (need === undefined) return // no launch touches it
      const { buffer, offset } = slots[slot]
      device.own(buffer)
      if (offset < 0 || (offset + need > buffer.bytes && !program.growing?.has(slot)))
        throw new AttuneError('ERR_SHAPE', `slot ${slot} needs ${need} bytes from ${offset} on, its buffer has ${buffer.bytes}`, {
          slot,
          need,
          have: buffer.bytes,
        })
    })
  }
}

function gridOf({ grid, op }: Launch, n: LengthValues): readonly [number, number, number] {
  if (!grid) throw new AttuneError('ERR_ARGUMENT', `the launch of '${op}' has no grid`, { op })
  return grid(n)
}

const aborted = (signal: AbortSignal): AttuneError => new AttuneError('ERR_ABORTED', 'the run was aborted', {}, signal.reason)

/** What was submitted cannot be called back: an abort only stops the waiting, and what is not submitted yet. */
async function until(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return work
  if (signal.aborted) throw aborted(signal)
  let stop = (): void => {}
  const abort = new Promise<never>((_, reject) => {
    stop = () => reject(aborted(signal))
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    await Promise.race([work, abort])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
