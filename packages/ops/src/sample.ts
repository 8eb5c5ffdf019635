import { AttuneError, type Expr, table, variable } from '@attune/expr'
import {
  call,
  capacity,
  fill,
  mapExpr,
  mapWith,
  max,
  min,
  type Op,
  randomOf,
  scatterRows,
  showShape,
  sum,
  type Tensor,
  topkOf,
} from '@attune/tensor'

/**
 * Draws the next token of each batch row. Inputs: logits (B, V) f32; options (B, 8) f32: temperature (0 = likeliest), top-k (0 = off),
 * top-p (1 = off), min-p (0 = off), repetition penalty (1 = off), three unused; recent (B, W) i32, tokens the penalty applies to, −1 = none;
 * key (B, 2) i32 of the random numbers. Outputs: ids (B) i32 and logprobs (B) f32, the id's log-probability under the unchanged logits.
 *
 * Order as in transformers: penalty, temperature, top-k, top-p, min-p, draw. Ties at a threshold stay in. The draw is the maximum of
 * score + Gumbel noise over what is left, the noise of vocabulary entry v from number v of `random` under the row's key, so that every
 * device draws the same token. Ties go to the lower id. B must be a number.
 */
export const sample: Op<null> = {
  name: 'sample',
  infer([logits, options, recent, key]) {
    const [b, v] = logits.shape
    if (
      typeof b !== 'number' ||
      typeof v !== 'number' ||
      options.shape[0] !== b ||
      options.shape[1] !== 8 ||
      recent.shape[0] !== b ||
      key.shape[0] !== b ||
      key.shape[1] !== 2
    )
      throw new AttuneError(
        'ERR_SHAPE',
        `sample of logits ${showShape(logits.shape)} with options ${showShape(options.shape)}, recent ${showShape(recent.shape)}, key ${showShape(key.shape)}`,
        {},
      )
    return [
      { dtype: 'i32', shape: [b] },
      { dtype: 'f32', shape: [b] },
    ]
  },
  compose([logits, options, recent, key]) {
    const option = (i: number): Tensor => options.slice(1, i, i + 1) // (B, 1)
    const temperature = option(0)
    const seen = seenTokens(recent, logits)
    const penalised = mapWith((x, s, p) => s.gt(0).select(x.gt(0).select(x.div(p), x.mul(p)), x), [logits, seen, option(4)])
    const x = mapWith((a, t) => t.gt(0).select(a.div(t), a), [penalised, temperature]) // (B, V)
    const top = max(x, 1, true)
    const atK = threshold(
      x,
      kept => sum(mapWith(k => k.gt(0).select(1, 0).f32(), [kept])),
      mapWith(k => k, [option(1)]),
      x,
    )
    const cutK = mapWith((t, k) => k.gt(0).select(t, -3.4e38), [atK, option(1)])
    const inK = mapWith((a, c, m) => a.ge(c).select(a.sub(m).exp(), 0).f32(), [x, cutK, top])
    const share = mapWith((p, total) => p.div(total), [inK, sum(inK, 1, true)])
    const atP = threshold(x, kept => sum(kept), option(2), share)
    const cutP = mapWith((t, p) => p.lt(1).select(t, -3.4e38), [atP, option(2)])
    const allowed = mapWith(
      (a, k, p, m, q) => a.ge(k.max(p)).and(q.le(0).or(a.ge(m.add(q.max(1e-37).log())))),
      [x, cutK, cutP, top, option(3)],
      { dtype: 'bool' },
    )
    const noise = gumbel(key, x)
    const drawn = mapWith((ok, a, g, t) => ok.select(t.gt(0).select(a.add(g), a), -3.4e38), [allowed, x, noise, temperature])
    const ids = topkOf(drawn, 1).indices.reshape([x.shape[0]])
    return [ids, logProbability(logits, ids)]
  },
}

export interface SampleOperands {
  readonly options: Tensor
  readonly recent: Tensor
  readonly key: Tensor
}
export function sampleOf(logits: Tensor, { options, recent, key }: SampleOperands): { ids: Tensor; logprobs: Tensor } {
  const [ids, logprobs] = call(sample, [logits, options, recent, key], null)
  return { ids, logprobs }
}

const STEPS = 48

/**
 * The largest t with measure(weights where x ≥ t) ≥ want, by bisection between the smallest and the largest x: (B, 1). `weights`
 * count as 1 where `x` itself is measured.
 */
function threshold(x: Tensor, measure: (kept: Tensor) => Tensor, want: Tensor, weights: Tensor): Tensor {
  let high = max(x, 1, true)
  // Masked entries may be −∞ or −3.4e38; below high − 200 no weight is left in f32.
  let low = mapWith((a, b) => a.max(b.sub(200)), [min(x, 1, true), high])
  const counting = weights === x
  for (let i = 0; i < STEPS; i++) {
    const mid = mapWith((a, b) => a.add(b).mul(0.5), [low, high])
    const kept = mapWith(
      (a, t, w) =>
        a
          .ge(t)
          .select(counting ? 1 : w, 0)
          .f32(),
      [x, mid, weights],
    )
    const enough = mapWith((m, n) => m.ge(n), [measure(kept).unsqueeze(1), want], { dtype: 'bool' })
    low = mapWith((ok, m, l) => ok.select(m, l), [enough, mid, low])
    high = mapWith((ok, m, h) => ok.select(h, m), [enough, mid, high])
  }
  // The likeliest always stays: it alone may reach the want.
  const full = mapWith(
    (a, t, w) =>
      a
        .ge(t)
        .select(counting ? 1 : w, 0)
        .f32(),
    [x, high, weights],
  )
  return mapWith((m, n, h, l) => m.ge(n).select(h, l), [measure(full).unsqueeze(1), want, high, low])
}

/** 1 where a vocabulary entry is among a row's recent tokens: (B, V). */
function seenTokens(recent: Tensor, logits: Tensor): Tensor {
  const [b, v] = logits.shape.map(capacity)
  const own: Expr = variable('x0', 'i32')
  const index = mapExpr(own.lt(0).select(-1, variable('i0', 'i32').mul(v).add(own)), [recent], { dtype: 'i32' })
  return scatterRows(fill(0, [b * v, 1]), index, fill(1, [...index.shape, 1])).reshape([b, v])
}

/** Gumbel noise per vocabulary entry, each row under its own key. */
function gumbel(key: Tensor, x: Tensor): Tensor {
  const [b, v] = x.shape.map(capacity)
  let u = fill(0, [b, v])
  for (let row = 0; row < b; row++)
    u = scatterRows(u, fill(row, [1], 'i32'), randomOf(key.slice(0, row, row + 1).reshape([2]), [v]).unsqueeze(0))
  // u + 2^-25 is uniform over the middles of 2^24 cells; near 1 it would round to 1 in f32, so 1 − u is taken first: −log(1 − w) = w + w²/2 + …
  return mapWith(
    a => {
      const w = a.neg().add(1).sub(HALF_CELL)
      const series = w.mul(w.mul(w.mul(w.mul(0.25).add(1 / 3)).add(0.5)).add(1))
      const exponential = a.lt(0.5).select(a.add(HALF_CELL).log().neg(), w.lt(1 / 64).select(series, w.neg().add(1).log().neg()))
      return exponential.log().neg()
    },
    [u],
  )
}
const HALF_CELL = 2 ** -25

function logProbability(logits: Tensor, ids: Tensor): Tensor {
  const top = max(logits, 1, true)
  const total = sum(mapWith((a, m) => a.sub(m).exp(), [logits, top]))
  const own = table(logits, { dtype: 'f32', rank: 2 }).at(variable('i0', 'i32'), variable('x2', 'i32'))
  return mapExpr(own.sub(variable('x0', 'f32')).sub(variable('x1', 'f32').log()), [top.squeeze(1), total, ids], { dtype: 'f32' })
}
