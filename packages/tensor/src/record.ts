import { AttuneError } from '@attune/expr'
import { Arena } from './arena.ts'
import { Breath } from './breath.ts'
import { checked } from './check.ts'
import type { Borrowed, Constant } from './constant.ts'
import type { Dense, Device, DeviceBuffer, Executable, SlotView } from './device.ts'
import { bytesOf, isCodec, itemBytes } from './dtype.ts'
import { readDense } from './host-loops.ts'
import { type Choice, Lowering, type Storage } from './lower.ts'
import type { Type } from './op.ts'
import { capacity, elements, isLength, type Length, type LengthValues, product, resolve, rowMajor } from './shape.ts'
import type { Tensor } from './tensor.ts'

export interface Graph {
  /** Values that can be read after a run. */
  readonly outputs: Readonly<Record<string, Tensor>>
  /** Last versions of states that the step changes. */
  readonly effects?: readonly Tensor[]
}

export interface RunInputs {
  readonly lengths?: Readonly<Record<string, number>>
  /** Host data per input name, dense over the lengths' values, or a device buffer laid out by capacities. */
  readonly inputs?: Readonly<Record<string, ArrayBufferView | DeviceBuffer>>
  readonly states?: Readonly<Record<string, DeviceBuffer>>
  readonly signal?: AbortSignal
  readonly profile?: Float64Array
}

export interface RecordOptions {
  /** Memory of the intermediate values, when shared with other recordings. */
  readonly arena?: Arena
  /** Runs op by op and throws ERR_NAN that names the first op which gives NaN. Slow. */
  readonly check?: boolean
}

/**
 * Makes a graph ready to run many times on a device. The shapes' capacities are fixed; lengths, inputs and states are given per run.
 * The event loop gets its turns meanwhile.
 */
export async function record(device: Device, graph: Graph, { arena = new Arena(device), check }: RecordOptions = {}): Promise<Recording> {
  const lowering = new Lowering(device)
  const outputs = Object.values(graph.outputs)
  const roots = [...outputs, ...(graph.effects ?? [])]
  const breath = new Breath()
  await breath.turn() // building the graph took its time
  for (const _ of lowering.steps(roots)) await breath.pause()
  await breath.turn()
  const arenaBytes = lowering.finish(outputs)
  const constants = await borrowed(device, lowering)
  const lengths = [...lowering.lengths.values()]
  await breath.turn()
  const program = { launches: lowering.launches, lengths, slots: lowering.slots.length, growing: growingSlots(lowering.slots) }
  const executable = await (check ? checked(device, program, lowering.made) : device.load(program)).catch(error => {
    for (const c of constants) c?.giveBack()
    throw error
  })
  return new Recording(device, executable, lowering, graph.outputs, lengths, constants, arena, arenaBytes)
}

/** The copies of the constants that a program binds, by slot. */
async function borrowed(device: Device, { slots }: Lowering): Promise<(Borrowed | undefined)[]> {
  const asked = await Promise.allSettled(slots.map(s => (s.leaf?.kind === 'constant' ? s.leaf.constant.borrow(device) : undefined)))
  const failed = asked.find(a => a.status === 'rejected')
  const got = asked.map(a => (a.status === 'fulfilled' ? a.value : undefined))
  if (!failed) return got
  for (const c of got) c?.giveBack()
  throw failed.reason
}

/** A recorded step: replayed with new lengths, inputs and states; no graph is built again. */
export class Recording {
  readonly #slots: SlotView[]
  readonly #inputs = new Map<string, { storage: Storage; own?: DeviceBuffer }>()
  readonly #states = new Map<string, Storage>()
  readonly #constants: (Borrowed | undefined)[]
  readonly #executable: Executable
  readonly #outputs: ReadonlyMap<string, { tensor: Tensor; storage: Storage }>
  readonly #lengths: readonly Length[]
  #values: number[] = []
  /** Which kernel or composition runs each op, and who refused. */
  readonly choices: readonly Choice[]
  readonly launches: readonly { readonly op: string; readonly text: string }[]

  constructor(
    readonly device: Device,
    executable: Executable,
    lowering: Lowering,
    outputs: Graph['outputs'],
    lengths: readonly Length[],
    constants: readonly (Borrowed | undefined)[],
    readonly arena: Arena,
    readonly arenaBytes: number,
  ) {
    this.#executable = executable
    this.#lengths = lengths
    this.choices = lowering.choices
    this.launches = lowering.launches.map(({ op, text }) => ({ op, text }))
    this.#outputs = new Map(Object.entries(outputs).map(([name, tensor]) => [name, { tensor, storage: lowering.storage(tensor) }]))
    this.#slots = constants.map(c => ({ buffer: c?.buffer as DeviceBuffer, offset: 0 })) // the others are bound by each run
    this.#constants = [...constants]
    for (const s of lowering.slots) {
      if (s.leaf?.kind === 'input') this.#inputs.set(s.leaf.name, { storage: s })
      else if (s.leaf?.kind === 'state') this.#states.set(s.leaf.name, s)
    }
  }

  async run({ lengths = {}, inputs = {}, states = {}, signal, profile }: RunInputs = {}): Promise<void> {
    const values = this.#lengths.map(l => {
      const v = lengths[l.name]
      if (!Number.isInteger(v) || v < 0 || v > l.max)
        throw new AttuneError('ERR_SHAPE', `length '${l.name}' is ${v}, capacity ${l.max}`, { length: l.name, value: v, max: l.max })
      return v
    })
    this.#slots[0] = { buffer: this.arena.buffer(this.arenaBytes), offset: 0 }
    for (const [name, entry] of this.#inputs) {
      const given = inputs[name]
      if (given === undefined) throw new AttuneError('ERR_ARGUMENT', `input '${name}' is missing`, { name })
      await this.#bindInput(name, entry, given, new Map(this.#lengths.map((l, i) => [l, values[i]])))
    }
    for (const [name, s] of this.#states) {
      const buffer = states[name]
      if (!buffer) throw new AttuneError('ERR_ARGUMENT', `state '${name}' is missing`, { name })
      const need = stateNeed(s, this.#lengths, values)
      if (buffer.bytes < need)
        throw new AttuneError('ERR_SHAPE', `state '${name}' needs ${need} bytes, its buffer has ${buffer.bytes}`, {
          name,
          need,
          have: buffer.bytes,
        })
      this.#slots[s.slot] = { buffer, offset: 0 }
    }
    await this.#executable.run(values, this.#slots, { signal, profile })
    this.#values = values
  }

  /** A named output of the last run, dense. Valid until the arena is used again. */
  async read(name: string): Promise<Dense> {
    const { tensor, storage } = this.#output(name)
    const at = this.#view(storage)
    const n = new Map(this.#lengths.map((l, i) => [l, this.#values[i]]))
    // Only the leading axis shrinks what is fetched: layouts follow capacities.
    const dims = tensor.shape.map(d => resolve(d, n))
    if (product(dims) === 0) return readDense(tensor, new Uint8Array(0), n)
    const last = tensor.offset + dims.reduce((a, d, i) => a + (d - 1) * tensor.strides[i], 0) + 1
    const bytes = isCodec(tensor.dtype) ? storage.bytes : bytesOf(tensor.dtype, last)
    const raw = await this.device.read(at.buffer, at.offset, bytes)
    return readDense(tensor, aligned(raw), n)
  }

  /** Where an output lies on the device after a run, to bind it elsewhere. */
  location(name: string): SlotView {
    return this.#view(this.#output(name).storage)
  }

  dispose(): void {
    this.#executable.dispose()
    for (const { own } of this.#inputs.values()) if (own) this.device.free(own)
    this.#inputs.clear()
    for (const c of this.#constants.splice(0)) c?.giveBack()
  }

  #output(name: string): { tensor: Tensor; storage: Storage } {
    const o = this.#outputs.get(name)
    if (!o)
      throw new AttuneError('ERR_ARGUMENT', `there is no output '${name}'; outputs are ${[...this.#outputs.keys()].join(', ')}`, { name })
    return o
  }
  #view(s: Storage): SlotView {
    return { buffer: this.#slots[s.slot].buffer, offset: s.life?.offset ?? 0 }
  }
  async #bindInput(
    name: string,
    entry: { storage: Storage; own?: DeviceBuffer },
    given: ArrayBufferView | DeviceBuffer,
    n: LengthValues,
  ): Promise<void> {
    if (!ArrayBuffer.isView(given)) {
      this.#slots[entry.storage.slot] = { buffer: given, offset: 0 }
      return
    }
    if (given.byteLength > entry.storage.bytes)
      throw new AttuneError('ERR_SHAPE', `input '${name}' has ${given.byteLength} bytes, its capacity is ${entry.storage.bytes}`, { name })
    entry.own ??= this.device.alloc(entry.storage.bytes)
    const bytes = laidOut(new Uint8Array(given.buffer, given.byteOffset, given.byteLength), entry.storage.type!, n)
    if (bytes.byteLength > 0) await this.device.write(entry.own, bytes)
    this.#slots[entry.storage.slot] = { buffer: entry.own, offset: 0 }
  }
}

/** Values that are dense over this run's lengths, laid out by capacities. A Length in front needs nothing. */
function laidOut(dense: Uint8Array, { dtype, shape }: Type, n: LengthValues): Uint8Array {
  const sizes = shape.map(d => resolve(d, n))
  const short = sizes.some((size, i) => i > 0 && size < capacity(shape[i]))
  if (!short || isCodec(dtype) || dense.byteLength !== bytesOf(dtype, product(sizes))) return dense
  const out = new Uint8Array(bytesOf(dtype, elements(shape)))
  const size = itemBytes(dtype)
  const steps = rowMajor(shape)
  const row = sizes.at(-1)! * size
  for (let i = 0; i * row < dense.byteLength; i++) {
    let [rest, at] = [i, 0]
    for (let a = sizes.length - 2; a >= 0; a--) {
      at += (rest % sizes[a]) * steps[a]
      rest = Math.floor(rest / sizes[a])
    }
    out.set(dense.subarray(i * row, (i + 1) * row), at * size)
  }
  return out
}

const aligned = (raw: Uint8Array): Uint8Array => (raw.byteOffset % 4 === 0 ? raw : raw.slice())

/** Runs what `t` needs once and reads it. For tests and small one-off work; steps that repeat use `record`. */
export async function read(t: Tensor, device: Device, run: RunInputs & RecordOptions = {}): Promise<Dense> {
  return (await readAll({ out: t }, device, run)).out
}
export async function readAll<K extends string>(
  outputs: Record<K, Tensor>,
  device: Device,
  { arena, check, ...run }: RunInputs & RecordOptions = {},
): Promise<Record<K, Dense>> {
  const recording = await record(device, { outputs }, { arena, check })
  try {
    await recording.run(run)
    const out = {} as Record<K, Dense>
    for (const name of Object.keys(outputs) as K[]) out[name] = await recording.read(name)
    return out
  } finally {
    recording.dispose()
    if (!arena) recording.arena.dispose()
  }
}

/** Bytes a state of this type occupies. */
const growingSlots = (slots: readonly Storage[]): ReadonlySet<number> =>
  new Set(slots.filter(s => s.leaf?.kind === 'state' && isLength(s.type!.shape[0])).map(s => s.slot))

/** A state whose first axis is a Length, such as a pool of pages, is as large as the run says. */
function stateNeed(s: Storage, lengths: readonly Length[], values: readonly number[]): number {
  const [first] = s.type!.shape
  return isLength(first) ? (s.bytes / first.max) * values[lengths.indexOf(first)] : s.bytes
}

export const stateBytes = (t: Tensor): number => bytesOf(t.dtype, elements(t.shape))
export type { Constant }
