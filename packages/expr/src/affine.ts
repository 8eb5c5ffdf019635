import { add, type Interval, interval, meet, multiply, negate } from './interval.ts'

/** An opaque value that affine forms are made of. */
export interface Atom {
  readonly interval: Interval
  /** set for a variable */
  readonly name?: string
  /** set for floor(of / by): differences of such atoms follow from those of `of` */
  readonly floor?: { readonly of: Affine; readonly by: number }
}

/** `Σ coefficient · atom + constant`, give or take `error` (accumulated rounding). Keeps correlations that intervals lose: q − k. */
export interface Affine {
  readonly terms: ReadonlyMap<Atom, number>
  readonly constant: number
  readonly error: number
}

/** Known bounds of `of[0] − of[1]`, two variables. */
export interface Difference {
  readonly of: readonly [string, string]
  readonly range: readonly [number, number]
}

export const ofConstant = (constant: number): Affine => ({ terms: new Map(), constant, error: 0 })
export const ofAtom = (atom: Atom): Affine => ({ terms: new Map([[atom, 1]]), constant: 0, error: 0 })

/** `a + factor · b`, without rounding. */
export function combine(a: Affine, b: Affine, factor: number): Affine {
  const terms = new Map(a.terms)
  for (const [atom, coefficient] of b.terms) {
    const sum = (terms.get(atom) ?? 0) + factor * coefficient
    if (sum === 0) terms.delete(atom)
    else terms.set(atom, sum)
  }
  return { terms, constant: a.constant + factor * b.constant, error: a.error + Math.abs(factor) * b.error }
}

export const scale = (a: Affine, factor: number): Affine => combine(ofConstant(0), a, factor)

/** Bounds of a form, using what is known of differences between its atoms. */
export function bound(form: Affine, differences: readonly Difference[]): Interval {
  const entries = [...form.terms]
  let best = total(form, entries)
  for (const [i, [x, cx]] of entries.entries()) {
    for (const [j, [y, cy]] of entries.entries()) {
      if (!(cx > 0 && cy < 0)) continue
      const between = difference(x, y, differences)
      if (!between) continue
      const shared = Math.min(cx, -cy) // shared · (x − y) + what is left of one of them
      const rest = entries.filter((_, n) => n !== i && n !== j)
      if (cx > shared) rest.push([x, cx - shared])
      if (-cy > shared) rest.push([y, cy + shared])
      best = meet(best, add(total(form, rest), times(between, shared)))
    }
  }
  return best
}

const times = (a: Interval, factor: number): Interval => multiply(a, interval(factor, factor, true))

function total(form: Affine, entries: readonly (readonly [Atom, number])[]): Interval {
  const start = interval(form.constant - form.error, form.constant + form.error)
  return entries.reduce((sum, [atom, coefficient]) => add(sum, times(atom.interval, coefficient)), start)
}

/** Bounds of x − y beyond those of x and y alone. */
function difference(x: Atom, y: Atom, known: readonly Difference[]): Interval | undefined {
  for (const { of, range } of known) {
    if (of[0] === x.name && of[1] === y.name) return interval(range[0], range[1])
    if (of[0] === y.name && of[1] === x.name) return negate(interval(range[0], range[1]))
  }
  if (x.floor && y.floor && x.floor.by === y.floor.by) {
    const { lo, hi } = bound(combine(x.floor.of, y.floor.of, -1), known)
    return interval(Math.floor(lo / x.floor.by), Math.ceil(hi / x.floor.by))
  }
  return undefined
}
