import { AttuneError } from '@attune/expr'
import { type Lifetime, placeLifetimes } from './arena.ts'
import type { Binding, Device, Launch } from './device.ts'
import { bytesOf } from './dtype.ts'
import { loopsLaunch } from './host-loops.ts'
import type { Kernel, Sig, Type } from './op.ts'
import { copyOf } from './primitives/copy.ts'
import { elements, isLength, type Length, showShape } from './shape.ts'
import type { Leaf, Node, Tensor } from './tensor.ts'

/** Memory a value lives in: the arena, or a slot that is bound from outside. */
export interface Storage {
  readonly slot: number
  readonly bytes: number
  readonly life?: Lifetime
  readonly leaf?: Leaf
  /** Of a leaf. */
  readonly type?: Type
}

/** An op's own results: complete once the first `launches` launches have run. */
export interface Made {
  readonly node: Node
  readonly outputs: readonly Storage[]
  readonly launches: number
}

/** How one op of the graph is run, for `explain`. */
export interface Choice {
  readonly op: string
  /** Kernel name, `loops` (the JS reference) or `compose`. */
  readonly by: string
  readonly refused: readonly { readonly kernel: string; readonly why: string }[]
  /** How deep inside compositions the op stands. */
  readonly depth: number
  readonly launches: number
}

/** Turns a graph into launches over slots: picks kernels, falls back to compositions, plans the arena. */
export class Lowering {
  readonly launches: Launch[] = []
  readonly choices: Choice[] = []
  readonly slots: Storage[] = [{ slot: 0, bytes: 0 }]
  /** In the order of the launches. */
  readonly made: Made[] = []
  readonly lengths = new Map<string, Length>()
  readonly #values = new Map<Node, Storage[]>()
  readonly #lives: Lifetime[] = []
  readonly #pending: (() => Launch)[] = []
  readonly #kernels = new Map<unknown, Kernel[]>()

  constructor(readonly device: Device) {
    for (const k of device.kernels) {
      const list = this.#kernels.get(k.op) ?? []
      list.push(k)
      this.#kernels.set(k.op, list)
    }
  }

  /** Lowers everything `roots` need, in the order of creation. */
  add(roots: readonly Tensor[], depth = 0): void {
    for (const _ of this.steps(roots, depth));
  }
  /** The same a node at a time: a large graph need not be lowered in one go. */
  *steps(roots: readonly Tensor[], depth = 0): Generator<void> {
    for (const node of this.#reachable(roots)) yield this.#node(node, depth)
  }
  /** Plans the arena and builds the launches. Returns the arena's bytes. */
  finish(keep: readonly Tensor[]): number {
    for (const t of keep) this.#touch(this.storage(t), Number.MAX_SAFE_INTEGER)
    const bytes = placeLifetimes(this.#lives)
    for (const make of this.#pending) this.launches.push(make())
    return bytes
  }
  storage(t: Tensor): Storage {
    return this.#values.get(t.node)![t.index]
  }

  #reachable(roots: readonly Tensor[]): Node[] {
    const seen = new Set<Node>()
    const stack = roots.map(t => t.node)
    while (stack.length > 0) {
      const node = stack.pop()!
      if (seen.has(node) || this.#values.has(node)) continue
      seen.add(node)
      for (const t of node.inputs) stack.push(t.node)
    }
    return [...seen].sort((a, b) => a.id - b.id)
  }

  /** One slot per name, however often it is mentioned. */
  #leaf(leaf: Leaf, type: Type): Storage {
    const bytes = bytesOf(type.dtype, elements(type.shape))
    const known = leaf.kind === 'constant' ? undefined : this.slots.find(s => s.leaf?.kind === leaf.kind && s.leaf.name === leaf.name)
    if (known && known.bytes !== bytes)
      throw new AttuneError(
        'ERR_SHAPE',
        `'${(leaf as { name: string }).name}' is mentioned with ${known.bytes} and with ${bytes} bytes`,
        {},
      )
    if (known) return known
    const s: Storage = { slot: this.slots.length, bytes, leaf, type }
    this.slots.push(s)
    return s
  }

  #node(node: Node, depth: number): void {
    for (const t of [...node.inputs, ...node.outputs]) for (const d of t.shape) if (isLength(d)) this.#length(d)
    if (!node.op) {
      const t = node.outputs[0]
      this.#values.set(node, [this.#leaf(node.leaf!, t)])
      return
    }
    const refused: { kernel: string; why: string }[] = []
    const direct = this.#choose(node, node.inputs, refused)
    if (direct) return this.#kernel(node, node.inputs, direct, refused, depth)
    if (this.device.host && node.op.loops) return this.#loops(node, depth)
    if (!node.inputs.every(t => t.contiguous)) {
      const dense = this.#copies(node, t => (t.contiguous ? t : copyOf(t, t.dtype)), depth)
      const k = dense && this.#choose(node, dense, [])
      if (k) return this.#kernel(node, dense, k, refused, depth)
    }
    if (node.op.compose) return this.#compose(node, refused, depth)
    const plain = this.#copies(
      node,
      t => (t.contiguous && (t.dtype === 'f32' || t.dtype === 'i32' || t.dtype === 'bool') ? t : copyOf(t)),
      depth,
    )
    const k = plain && this.#choose(node, plain, refused)
    if (k) return this.#kernel(node, plain, k, refused, depth)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${this.device.name} cannot run '${node.op.name}' of ${node.inputs.map(t => showShape(t.shape)).join(', ')}: ${refused.map(r => `${r.kernel}: ${r.why}`).join('; ') || 'it has no kernel for it'}`,
      { op: node.op.name, refused },
    )
  }

  /** Copied inputs, or undefined where a copy would detach an output that aliases its input. */
  #copies(node: Node, f: (t: Tensor) => Tensor, depth: number): Tensor[] | undefined {
    const out = node.inputs.map(f)
    if (node.op!.alias?.some(j => j !== undefined && out[j] !== node.inputs[j])) return undefined
    this.add(out, depth + 1)
    return out
  }

  #choose(node: Node, inputs: readonly Tensor[], refused: { kernel: string; why: string }[]): { kernel: Kernel; sig: Sig } | undefined {
    const sig: Sig = { inputs, outputs: node.outputs as readonly Type[], attrs: node.attrs }
    let best: Kernel | undefined
    for (const kernel of this.#kernels.get(node.op) ?? []) {
      const why = kernel.why(sig, this.device.limits)
      if (why) refused.push({ kernel: kernel.name, why })
      else if (!best || kernel.cost(sig) < best.cost(sig)) best = kernel
    }
    return best && { kernel: best, sig }
  }

  #kernel(
    node: Node,
    inputs: readonly Tensor[],
    { kernel, sig }: { kernel: Kernel; sig: Sig },
    refused: Choice['refused'],
    depth: number,
  ): void {
    const plan = kernel.plan(sig, this.device.limits)
    const at = this.#pending.length
    const last = at + plan.launches.length - 1
    const out = this.#outputs(node, at)
    const temps = (plan.temps ?? []).map(bytes => this.#life(bytes, at, last))
    for (const t of inputs) this.#touch(this.storage(t), last)
    for (const s of out) this.#touch(s, last)
    for (const l of plan.launches) {
      this.#pending.push(() => ({
        text: l.text,
        params: l.params,
        grid: l.grid,
        threadScratch: l.threadScratch ?? 0,
        op: node.op!.name,
        bind: l.bind.map((b): Binding => {
          if ('input' in b) return bindTo(this.storage(inputs[b.input]), inputs[b.input], false)
          if ('output' in b) return bindTo(out[b.output], undefined, true)
          if ('temp' in b) return { slot: 0, offset: temps[b.temp].offset, bytes: temps[b.temp].bytes, write: true }
          if ('data' in b) return { data: new Uint8Array(b.data.buffer, b.data.byteOffset, b.data.byteLength) }
          return b
        }),
      }))
      for (const p of l.params) {
        if (typeof p === 'object' && 'kind' in p) this.#length(p)
        else if (typeof p === 'object' && 'product' in p) for (const d of p.product) if (isLength(d)) this.#length(d)
      }
    }
    this.made.push({ node, outputs: out, launches: this.#pending.length })
    this.choices.push({ op: node.op!.name, by: kernel.name, refused, depth, launches: plan.launches.length })
  }

  #loops(node: Node, depth: number): void {
    const at = this.#pending.length
    const out = this.#outputs(node, at)
    for (const t of node.inputs) this.#touch(this.storage(t), at)
    for (const s of out) this.#touch(s, at)
    this.#pending.push(() =>
      loopsLaunch(
        node,
        node.inputs.map(t => bindTo(this.storage(t), undefined, false)),
        out.map(s => bindTo(s, undefined, true)),
      ),
    )
    this.made.push({ node, outputs: out, launches: this.#pending.length })
    this.choices.push({ op: node.op!.name, by: 'loops', refused: [], depth, launches: 1 })
  }

  #compose(node: Node, refused: Choice['refused'], depth: number): void {
    this.choices.push({ op: node.op!.name, by: 'compose', refused, depth, launches: 0 })
    const made = node.op!.compose!(node.inputs, node.attrs).map((t, i) =>
      t.contiguous && t.offset === 0 && t.dtype === node.outputs[i].dtype ? t : copyOf(t, node.outputs[i].dtype),
    )
    this.add(made, depth + 1)
    this.#values.set(
      node,
      made.map(t => this.storage(t)),
    )
  }

  #outputs(node: Node, at: number): Storage[] {
    const out = node.outputs.map((t, i): Storage => {
      const j = node.op!.alias?.[i]
      if (j === undefined) {
        const life = this.#life(bytesOf(t.dtype, elements(t.shape)), at, at)
        return { slot: 0, bytes: life.bytes, life }
      }
      const s = this.storage(node.inputs[j])
      if (s.leaf && s.leaf.kind !== 'state')
        throw new AttuneError(
          'ERR_ARGUMENT',
          `'${node.op!.name}' would change ${s.leaf.kind === 'input' ? `input '${s.leaf.name}'` : 'a constant'} in place; only states and intermediate values may change`,
          {},
        )
      return s
    })
    this.#values.set(node, out)
    return out
  }
  #life(bytes: number, from: number, to: number): Lifetime {
    const life = { bytes, from, to, offset: 0 }
    this.#lives.push(life)
    return life
  }
  #touch(s: Storage, at: number): void {
    if (s.life) s.life.to = Math.max(s.life.to, at)
  }
  #length(d: Length): void {
    const known = this.lengths.get(d.name)
    if (known && known !== d)
      throw new AttuneError('ERR_SHAPE', `two different lengths are called '${d.name}' (capacities ${known.max} and ${d.max})`, {
        length: d.name,
      })
    this.lengths.set(d.name, d)
  }
}

/** Binds a storage; with a tensor, from its first element on. */
function bindTo(s: Storage, t: Tensor | undefined, write: boolean): Binding {
  // A slice of an empty value begins at its end.
  const shift = t && t.offset > 0 ? Math.min(s.bytes, bytesOf(t.dtype, t.offset)) : 0
  return { slot: s.slot, offset: (s.life?.offset ?? 0) + shift, bytes: s.bytes - shift, write }
}
