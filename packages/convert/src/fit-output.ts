import { gram, type Matrix, matmul, matrix, ridge, transpose } from '@attune/linalg'
import type { Model } from '@attune/models'
import { type LinearSpec, size } from '@attune/nn'
import { AttuneError, Constant } from '@attune/tensor'
import { decode } from '@attune/weights'
import { breathe, PIECE } from './breathe.ts'
import type { PlanEntry } from './plan.ts'
import type { Route } from './route.ts'
import type { LayerForm, Visit } from './walk.ts'

/** Strength of the pull towards the bridge's own output projection, as a share of the heads' mean energy. */
const RIDGE = 0.03
/** Share of the calibration tokens that only judge how far to go. */
const JUDGES = 0.25

/**
 * Whether a plan's entry has the output projection fitted: where it says so, by default where squares are made least anyway.
 * Errors: `ERR_CONVERSION` when it says so for a variant without one.
 */
export function fitsOutput({ spec, variants }: Model, entry: PlanEntry, route: Route, where: string): boolean {
  if (!(entry.fit ? entry.fit === 'output' : route.exactness === 'least-squares')) return false
  const { config } = route.steps[route.steps.length - 1]
  const o = variants.get(entry.to)!.params(config).o as LinearSpec | undefined
  if (o?.kind === 'linear' && size(o.out) === spec.dim) return true
  if (!entry.fit) return false
  throw new AttuneError('ERR_CONVERSION', `${where}: variant '${entry.to}' has no output projection 'o' to fit`, { to: entry.to })
}

/**
 * Fits the output projection of a converted layer so that the attention's output comes nearest the source's on calibration tokens
 * (ridge regression towards the projection it has): what the heads no longer say in their own place is taken from where it is said.
 * A part of the tokens is kept out of the regression and decides how far to go its way, so that it never makes things worse there.
 */
export async function fitOutput(
  model: Model,
  v: Visit,
  form: LayerForm,
  signal?: AbortSignal,
): Promise<{ form: LayerForm; figures: Record<string, number> }> {
  const { dim } = model.spec
  const o = form.values.get('attention.o')!
  const width = o.weight.shape[1]
  const [weight, bias] = [await floatsOf(o.weight), o.bias && (await floatsOf(o.bias))]
  const fitting = new Normal(width, dim)
  const judging = new Normal(width, dim)
  const slices = Array.from({ length: Math.ceil(width / dim) }, (_, s) => selecting(form, s, dim, width))
  const total = v.calibrationTokens
  let seen = 0
  await v.eachCalibration(slices, async (source, parts) => {
    const tokens = source.length / dim
    const [heads, wanted] = [joined(parts, tokens, dim, width), without(source, bias, dim)]
    const cut = Math.max(0, Math.min(tokens, Math.floor(total * (1 - JUDGES)) - seen))
    for (let from = 0; from < tokens; from += PIECE) {
      const to = Math.min(tokens, from + PIECE)
      fitting.add(rowsOf(heads, from, Math.min(cut, to)), rowsOf(wanted, from, Math.min(cut, to)))
      judging.add(rowsOf(heads, Math.max(cut, from), to), rowsOf(wanted, Math.max(cut, from), to))
      await breathe(signal)
    }
    seen += tokens
  })
  const trial = await fitting.change(weight, signal)
  const step = await judging.bestStep(weight, trial, signal)
  const change = await fitting.and(judging).change(weight, signal)
  const fitted = Float32Array.from(weight, (x, i) => x + step * change.data[i])
  const next = new Constant('f32', [dim, width], new Uint8Array(fitted.buffer), o.weight.name)
  return {
    form: { ...form, values: new Map(form.values).set('attention.o', { ...o, weight: next }) },
    figures: { outputFitStep: step },
  }
}

/** Normal equations of wanted outputs (N, dim) from mixed heads (N, width). */
class Normal {
  readonly #heads: Matrix
  readonly #cross: Matrix
  constructor(width: number, dim: number, heads = matrix(width, width), cross = matrix(width, dim)) {
    this.#heads = heads
    this.#cross = cross
  }
  add(heads: Rows, wanted: Rows): void {
    if (heads.rows <= 0) return
    gram(heads, this.#heads)
    addTo(this.#cross, matmul(heads, wanted, { transA: true }))
  }
  and(other: Normal): Normal {
    const sum = new Normal(this.#heads.rows, this.#cross.cols, copyOf(this.#heads), copyOf(this.#cross))
    addTo(sum.#heads, other.#heads)
    addTo(sum.#cross, other.#cross)
    return sum
  }
  /** Change of the projection (dim, width) that the regression asks for. */
  async change(weight: Float32Array, signal?: AbortSignal): Promise<Matrix> {
    const n = this.#heads.rows
    let energy = 0
    for (let i = 0; i < n; i++) energy += this.#heads.data[i * n + i]
    if (energy === 0) return matrix(this.#cross.cols, n)
    const xy = this.#residual(weight)
    await breathe(signal)
    const b = ridge({ xx: this.#heads, xy }, (RIDGE * energy) / n)
    await breathe(signal)
    return transpose(b)
  }
  /** How far in the direction of a change the squared error here still falls, from 0 to 1. */
  async bestStep(weight: Float32Array, change: Matrix, signal?: AbortSignal): Promise<number> {
    const n = this.#heads.rows
    const moved = matmul(change, this.#heads) // (dim, width)
    await breathe(signal)
    const residual = this.#residual(weight)
    let [slope, curve] = [0, 0]
    for (let r = 0; r < change.rows; r++)
      for (let i = 0; i < n; i++) {
        slope += change.data[r * n + i] * residual.data[i * change.rows + r]
        curve += change.data[r * n + i] * moved.data[r * n + i]
      }
    return curve > 0 ? Math.min(1, Math.max(0, slope / curve)) : 0
  }
  /** headsᵀ(wanted − heads · weightᵀ) (width, dim) */
  #residual(weight: Float32Array): Matrix {
    const now = matmul(this.#heads, { rows: this.#cross.cols, cols: this.#heads.rows, data: weight }, { transB: true })
    return { ...now, data: now.data.map((x, i) => this.#cross.data[i] - x) }
  }
}

interface Rows {
  readonly rows: number
  readonly cols: number
  readonly data: Float32Array
}
const rowsOf = ({ cols, data }: Rows, from: number, to: number): Rows => ({
  rows: to - from,
  cols,
  data: data.subarray(from * cols, Math.max(from, to) * cols),
})

/** The form with an output projection that hands on a slice of the mixed heads. */
function selecting(form: LayerForm, slice: number, dim: number, width: number): LayerForm {
  const { bias } = form.values.get('attention.o')!
  const pick = new Float32Array(dim * width)
  for (let r = 0; r < dim && slice * dim + r < width; r++) pick[r * width + slice * dim + r] = 1
  const constant = (x: Float32Array, shape: readonly number[]) => new Constant('f32', shape, new Uint8Array(x.buffer), 'selection')
  const o = { weight: constant(pick, [dim, width]), ...(bias ? { bias: constant(new Float32Array(dim), [dim]) } : {}) }
  return { ...form, values: new Map(form.values).set('attention.o', o) }
}

function joined(parts: readonly Float32Array[], tokens: number, dim: number, width: number): Rows {
  if (width === dim) return { rows: tokens, cols: width, data: parts[0] }
  const data = new Float32Array(tokens * width)
  parts.forEach((part, s) => {
    const count = Math.min(dim, width - s * dim)
    for (let t = 0; t < tokens; t++) data.set(part.subarray(t * dim, t * dim + count), t * width + s * dim)
  })
  return { rows: tokens, cols: width, data }
}

function without(source: Float32Array, bias: Float32Array | undefined, dim: number): Rows {
  return { rows: source.length / dim, cols: dim, data: bias ? source.map((x, i) => x - bias[i % dim]) : source }
}

async function floatsOf(c: Constant): Promise<Float32Array> {
  const out = new Float32Array(c.shape.reduce((n, d) => n * d, 1))
  decode(c.dtype, await c.bytes(), out)
  return out
}
const copyOf = (m: Matrix): Matrix => ({ ...m, data: m.data.slice() })
function addTo(to: Matrix, from: Matrix): void {
  for (let i = 0; i < to.data.length; i++) to.data[i] += from.data[i]
}
