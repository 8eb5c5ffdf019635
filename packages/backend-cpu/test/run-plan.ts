import {
  bytesOf,
  type Device,
  type DeviceBuffer,
  type Dim,
  elements,
  isLength,
  type Kernel,
  type Launch,
  type Length,
  type Param,
  rowMajor,
  type Sig,
  type Storage,
  storageName,
  type Type,
  type ViewType,
} from '@attune/tensor'

export interface PlanInput {
  readonly dtype: Storage
  readonly shape: readonly Dim[]
  /** In elements; row-major when absent. */
  readonly strides?: readonly number[]
  /** First element of the view. */
  readonly offset?: number
  /** The bytes as stored: half types as 16-bit words, packed types as blocks. */
  readonly data: ArrayBufferView
}
export interface PlanCase {
  readonly inputs: readonly PlanInput[]
  readonly attrs?: any
  readonly lengths?: ReadonlyMap<Length, number>
  readonly profile?: Float64Array
}
export interface PlanOutput extends Type {
  /** Over capacities; what the kernel did not write is poison (every byte 0xff: NaN, -1). Half types as 16-bit words. */
  readonly data: Float32Array | Int32Array | Uint8Array | Uint16Array
}

const guard = 256
const poison = 0xff

/**
 * Runs one kernel by its plan, the way a recorded program would, with outputs and temporaries poisoned before and guarded on both sides.
 * Throws when the kernel refuses the case, or writes outside what it was given.
 */
export async function runPlan(
  device: Device,
  kernel: Kernel,
  { inputs, attrs, lengths = new Map(), profile }: PlanCase,
): Promise<PlanOutput[]> {
  const views = inputs.map(view)
  const outputs = kernel.op.infer(views, attrs)
  const sig: Sig = { inputs: views, outputs, attrs }
  const refusal = kernel.why(sig, device.limits)
  if (refusal !== undefined) throw new Error(`${kernel.name} refuses: ${refusal}`)
  const plan = kernel.plan(sig, device.limits)

  const own: DeviceBuffer[] = []
  const place = async (bytes: Uint8Array) => {
    const buffer = device.alloc(bytes.byteLength)
    own.push(buffer)
    await device.write(buffer, bytes)
    return { buffer, offset: 0 }
  }
  const guarded = (bytes: number) => place(new Uint8Array(bytes + 2 * guard).fill(poison))
  const sources = await Promise.all(inputs.map(i => place(new Uint8Array(i.data.buffer, i.data.byteOffset, i.data.byteLength))))
  const sizes = outputs.map(o => bytesOf(o.dtype, elements(o.shape)))
  const alias = outputs.map((_, i) => kernel.op.alias?.[i])
  const targets = await Promise.all(sizes.map((bytes, i) => (alias[i] === undefined ? guarded(bytes) : sources[alias[i]!])))
  const temps = await Promise.all((plan.temps ?? []).map(guarded))
  const slots = [...sources, ...targets, ...temps]

  const launches = plan.launches.map(
    (l): Launch => ({
      text: l.text,
      params: l.params,
      threadScratch: l.threadScratch ?? 0,
      op: kernel.op.name,
      bind: l.bind.map(b => {
        if ('input' in b) {
          const i = inputs[b.input]
          const skip = bytesOf(i.dtype, i.offset ?? 0)
          return { slot: b.input, offset: skip, bytes: i.data.byteLength - skip, write: false }
        }
        if ('output' in b) {
          const at = alias[b.output] === undefined ? guard : 0
          return { slot: sources.length + b.output, offset: at, bytes: sizes[b.output], write: true }
        }
        if ('temp' in b) return { slot: sources.length + targets.length + b.temp, offset: guard, bytes: plan.temps![b.temp], write: true }
        if ('data' in b) return { data: new Uint8Array(b.data.buffer, b.data.byteOffset, b.data.byteLength) }
        return b
      }),
    }),
  )
  const known = [
    ...new Set([...views, ...outputs].flatMap(t => t.shape.filter(isLength)).concat(launches.flatMap(l => l.params.flatMap(lengthsOf)))),
  ]
  const program = await device.load({ launches, lengths: known, slots: slots.length })
  try {
    await program.run(
      known.map(l => lengths.get(l) ?? l.max),
      slots,
      { profile },
    )
    for (const [i, t] of temps.entries()) await unguard(device, t.buffer, plan.temps![i], `temporary ${i} of ${kernel.name}`)
    return await Promise.all(
      outputs.map(async (o, i) => {
        const bytes =
          alias[i] === undefined
            ? await unguard(device, targets[i].buffer, sizes[i], `output ${i} of ${kernel.name}`)
            : await device.read(targets[i].buffer, 0, sizes[i])
        return { ...o, data: typed(o.dtype, bytes) }
      }),
    )
  } finally {
    program.dispose()
    for (const b of own) device.free(b)
  }
}

function view({ dtype, shape, strides }: PlanInput): ViewType {
  const dense = rowMajor(shape)
  return { dtype, shape, strides: strides ?? dense, contiguous: !strides || strides.every((s, i) => s === dense[i] || shape[i] === 1) }
}

const lengthsOf = (p: Param): Length[] => {
  if (typeof p !== 'object') return []
  if ('product' in p) return p.product.filter(isLength)
  return 'kind' in p ? [p] : []
}

async function unguard(device: Device, buffer: DeviceBuffer, bytes: number, what: string): Promise<Uint8Array> {
  const all = await device.read(buffer, 0, bytes + 2 * guard)
  const outside = all.findIndex((v, i) => v !== poison && (i < guard || i >= guard + bytes))
  if (outside >= 0) throw new Error(`${what}: byte ${outside - guard} was written, it has ${bytes}`)
  return all.slice(guard, guard + bytes)
}

function typed(dtype: Storage, bytes: Uint8Array): PlanOutput['data'] {
  const name = storageName(dtype)
  if (name === 'f32') return new Float32Array(bytes.buffer)
  if (name === 'i32') return new Int32Array(bytes.buffer)
  return name === 'f16' || name === 'bf16' ? new Uint16Array(bytes.buffer) : bytes
}
