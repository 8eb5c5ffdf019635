import { AttuneError } from '@attune/expr'
import type { Binding, Launch, Program, SlotView } from '@attune/tensor'
import type { WebGpuBuffer, WebGpuDevice } from './device.ts'
import { type GpuBuffer, type GpuCommandEncoder, USAGE } from './gpu.ts'
import type { Pipeline, Range, Sharing } from './pipelines.ts'

/** Where an operand lies: a slot, or a place in the program's own memory (constant bytes, packed small slots). */
type Place =
  | { readonly slot: number; readonly offset: number; readonly bytes: number; readonly write: boolean }
  | { readonly own: 'data' | 'packed'; readonly offset: number; readonly bytes: number; readonly write: false }

interface Ready {
  readonly places: readonly (Place | undefined)[]
  /** First word of its uniforms. */
  readonly words: number
  pipeline?: Pipeline
  group?: object
}

const DATA = -1
const PACKED = -2

/**
 * The bind groups of a program's launches. Operands in one buffer share a binding that spans them; where a launch still needs more
 * bindings than the API has, its small read-only slots are copied into one buffer at the start of each run.
 *
 * A launch's uniforms are the byte offset of each operand in its binding, then the launch's parameters.
 */
export class Bindings {
  readonly launches: readonly Ready[]
  /** Bytes each slot needs, where a launch touches it. */
  readonly extents: (number | undefined)[]
  readonly words: Int32Array
  readonly floats: Float32Array
  /** The uniforms differ from what the device has. */
  changed = true
  readonly #uniforms: GpuBuffer
  readonly #data: GpuBuffer
  readonly #packed: GpuBuffer
  /** Offset in the packed buffer by slot. */
  readonly #packing = new Map<number, number>()
  #slots: readonly SlotView[] = []

  constructor(
    readonly device: WebGpuDevice,
    readonly program: Program,
  ) {
    const { gpu } = device
    this.extents = extentsOf(program)
    this.#choosePacked()
    const data: Uint8Array[] = []
    let dataBytes = 0
    let words = 0
    const stride = gpu.limits.minUniformBufferOffsetAlignment / 4
    this.launches = program.launches.map(launch => {
      const places = launch.bind.map((b): Place | undefined => {
        if ('none' in b) return undefined
        if ('data' in b) {
          const place = { own: 'data', offset: dataBytes, bytes: b.data.byteLength, write: false } as const
          data.push(b.data)
          dataBytes += Math.ceil(b.data.byteLength / 16) * 16
          return place
        }
        const at = this.#packing.get(b.slot)
        return at === undefined ? b : { own: 'packed', offset: at + b.offset, bytes: b.bytes, write: false }
      })
      const ready = { places, words }
      words += Math.ceil(Math.max(1, places.length + launch.params.length) / stride) * stride
      return ready
    })
    this.words = new Int32Array(Math.max(words, stride))
    this.floats = new Float32Array(this.words.buffer)
    this.#uniforms = gpu.createBuffer({ size: this.words.byteLength, usage: USAGE.uniform | USAGE.copyTarget })
    this.#data = gpu.createBuffer({ size: dataBytes + 16, usage: USAGE.storage | USAGE.copyTarget })
    const all = new Uint8Array(dataBytes)
    data.reduce((at, bytes) => {
      all.set(bytes, at)
      return at + Math.ceil(bytes.byteLength / 16) * 16
    }, 0)
    if (dataBytes > 0) gpu.queue.writeBuffer(this.#data, 0, all)
    const packedBytes = [...this.#packing.keys()].reduce((t, slot) => t + packedSize(this.extents[slot]!), 0)
    this.#packed = gpu.createBuffer({ size: packedBytes + 16, usage: USAGE.storage | USAGE.copyTarget })
  }

  /** Place of parameter `j` of launch `i` among the uniforms. */
  parameterAt(i: number, j: number): number {
    return this.launches[i].words + this.launches[i].places.length + j
  }

  /** Compiles every kernel as it is when no two slots share a buffer. */
  async compile(): Promise<void> {
    await Promise.all(
      this.launches.map(async ({ places }, i) => {
        const { text, op } = this.program.launches[i]
        await this.device.pipelines.get(text, sharingOf(places, slot => slot).sharing, op)
      }),
    )
  }

  /** Makes the bind groups for these slots; nothing where they are those of the run before. */
  async bind(slots: readonly SlotView[]): Promise<void> {
    const same = (a: SlotView | undefined, b: SlotView): boolean => a?.buffer === b.buffer && a.offset === b.offset
    const moved = slots.map((s, i) => this.extents[i] !== undefined && !same(this.#slots[i], s))
    if (this.#slots.length > 0 && !moved.includes(true)) return
    const first = new Map<unknown, number>()
    slots.forEach((s, i) => {
      if (this.extents[i] !== undefined && !first.has(s.buffer)) first.set(s.buffer, i)
    })
    for (const [i, ready] of this.launches.entries()) {
      if (ready.group && !ready.places.some(p => p && 'slot' in p && moved[p.slot])) continue
      await this.#bindLaunch(ready, this.program.launches[i], slots, slot => first.get(slots[slot].buffer)!)
    }
    this.#slots = [...slots]
    this.changed = true
  }

  /** Sends the uniforms that changed. */
  upload(): void {
    if (this.changed) this.device.gpu.queue.writeBuffer(this.#uniforms, 0, this.words)
    this.changed = false
  }

  /** Copies the small slots of launches with too many operands side by side. */
  pack(encoder: GpuCommandEncoder): void {
    for (const [slot, at] of this.#packing) {
      const { buffer, offset } = this.#slots[slot]
      const size = Math.ceil(Math.min(this.extents[slot]!, buffer.bytes - offset) / 4) * 4
      if (size > 0) encoder.copyBufferToBuffer((buffer as WebGpuBuffer).gpu, offset, this.#packed, at, size)
    }
  }

  dispose(): void {
    for (const b of [this.#uniforms, this.#data, this.#packed]) b.destroy()
  }

  async #bindLaunch(ready: Ready, { text, op, bind, params }: Launch, slots: readonly SlotView[], same: (slot: number) => number) {
    const { gpu, pipelines } = this.device
    const align = gpu.limits.minStorageBufferOffsetAlignment
    const { sharing, members, keys } = sharingOf(ready.places, same)
    const ranges = members.map((list, g): Range => {
      const key = keys[g]
      const at = list.map(i => startOf(ready.places[i]!, slots))
      const offset = Math.floor(Math.min(...at) / align) * align
      const reach = Math.max(...list.map((i, j) => at[j] + ready.places[i]!.bytes))
      const end = this.program.growing?.has(key) ? Math.min(reach, slots[key].buffer.bytes) : reach
      list.forEach((i, j) => {
        this.words[ready.words + i] = at[j] - offset
      })
      const buffer = key === DATA ? this.#data : key === PACKED ? this.#packed : (slots[key].buffer as WebGpuBuffer).gpu
      return { buffer, offset, size: Math.max(16, Math.ceil((end - offset) / 4) * 4) }
    })
    const large = ranges.find(r => r.size > gpu.limits.maxStorageBufferBindingSize)
    if (large)
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `'${op}' binds ${large.size} bytes at once, the limit is ${gpu.limits.maxStorageBufferBindingSize}`,
        {
          op,
          bytes: large.size,
        },
      )
    ready.pipeline = await pipelines.get(text, sharing, op)
    const size = Math.ceil(Math.max(1, bind.length + params.length) / 4) * 16
    ready.group = pipelines.bind(ready.pipeline, { buffer: this.#uniforms, offset: ready.words * 4, size }, ranges)
  }

  /** Chooses the smallest read-only slots of launches whose operands lie in more buffers than can be bound. */
  #choosePacked(): void {
    const { program, device, extents } = this
    const limit = device.gpu.limits.maxStorageBuffersPerShaderStage
    const written = new Set(program.launches.flatMap(l => l.bind.flatMap(b => ('slot' in b && b.write ? [b.slot] : []))))
    let bytes = 0
    for (const { bind, op } of program.launches) {
      const slots = new Set(bind.flatMap(b => ('slot' in b && !this.#packing.has(b.slot) ? [b.slot] : [])))
      const has = (f: (b: Binding) => boolean): number => (bind.some(f) ? 1 : 0)
      const need = slots.size + has(b => 'data' in b) + has(b => 'slot' in b && this.#packing.has(b.slot))
      if (need <= limit) continue
      const small = [...slots].filter(s => !written.has(s)).sort((a, b) => extents[a]! - extents[b]!)
      for (const slot of small.slice(0, need - limit + 1)) {
        this.#packing.set(slot, bytes)
        bytes += packedSize(extents[slot]!)
      }
      if (need - limit + 1 > small.length)
        throw new AttuneError('ERR_UNSUPPORTED', `'${op}' has operands in ${need} buffers, ${device.name} binds ${limit}`, {
          op,
          need,
          limit,
        })
    }
  }
}

const packedSize = (bytes: number): number => Math.ceil((bytes + 16) / 16) * 16

const startOf = (p: Place, slots: readonly SlotView[]): number => ('slot' in p ? slots[p.slot].offset : 0) + p.offset

/** Groups a launch's operands by the buffer they lie in; `same` names the first slot with a slot's buffer. */
function sharingOf(
  places: readonly (Place | undefined)[],
  same: (slot: number) => number,
): { sharing: Sharing; members: number[][]; keys: number[] } {
  const keys: number[] = []
  const members: number[][] = []
  const writes: boolean[] = []
  const groups = places.map((p, i) => {
    if (!p) return -1
    const key = 'slot' in p ? same(p.slot) : p.own === 'data' ? DATA : PACKED
    let g = keys.indexOf(key)
    if (g < 0) {
      g = keys.push(key) - 1
      members.push([])
      writes.push(false)
    }
    members[g].push(i)
    writes[g] ||= p.write
    return g
  })
  return { sharing: { groups, writes }, members, keys }
}

function extentsOf({ launches, slots }: Program): (number | undefined)[] {
  const need = new Array<number | undefined>(slots).fill(undefined)
  for (const { bind } of launches) for (const b of bind) if ('slot' in b) need[b.slot] = Math.max(need[b.slot] ?? 0, b.offset + b.bytes)
  return need
}
