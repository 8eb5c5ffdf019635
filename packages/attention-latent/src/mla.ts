import { attend, defineAttention, derived, type Past, rows, type Segment } from '@attune/attention'
import { type LinearSpec, linear, type VectorSpec, vector } from '@attune/nn'
import { concatOf, rmsNormOf } from '@attune/ops'
import { capacity, copyOf, dense, fill, isCodec, matmulOf, type Tensor } from '@attune/tensor'
import { mlaBridges } from './bridges.ts'
import { type MlaConfig, type MlaShape, mlaShape } from './mla-config.ts'

export type { MlaConfig } from './mla-config.ts'

type MlaParams = {
  /** Queries from the input, or by a latent of their own. */
  readonly q: LinearSpec
  readonly qa: LinearSpec
  readonly qaNorm: VectorSpec
  readonly qb: LinearSpec
  /** Input → latent and shared rotated key; latent → keys and values of the heads. */
  readonly kva: LinearSpec
  readonly kvNorm: VectorSpec
  readonly kvb: LinearSpec
  readonly o: LinearSpec
}

/**
 * Multi-head latent attention: a token is remembered as one short vector, from which every head's key and value follow, and one rotated
 * key that all heads share. DeepSeek-AI 2024, https://arxiv.org/abs/2405.04434
 */
export const mla = defineAttention('mla', {
  title: 'Multi-head latent attention',
  paper: 'https://arxiv.org/abs/2405.04434',
  family: 'latent',
  oracle: 'transformers: DeepseekV2Attention and DeepseekV3Attention',
  params(config: MlaConfig): MlaParams {
    const { dim, heads, latent, nopeDim, valueDim, ropeDim: rope, queryLatent: c, bias, queryBias, outBias, latentNorm } = mlaShape(config)
    const queries = { h: heads, d: nopeDim + rope }
    const parts: Partial<MlaParams> = {
      ...(c === undefined ? { q: linear({ dim }, queries, queryBias) } : { qa: linear({ dim }, { c }, bias) }),
      ...(c !== undefined && latentNorm && { qaNorm: vector(c) }),
      ...(c !== undefined && { qb: linear({ c }, queries, queryBias) }),
      kva: linear({ dim }, { c: latent + rope }, bias),
      ...(latentNorm && { kvNorm: vector(latent) }),
      kvb: linear({ c: latent }, { h: heads, d: nopeDim + valueDim }),
      o: linear({ h: heads, d: valueDim }, { dim }, outBias),
    }
    return parts as MlaParams // which ones there are, `forward` sees by looking
  },
  state(config) {
    const { latent, ropeDim, mode } = mlaShape(config)
    const reads = mode === 'materialised' ? (['whole'] as const) : []
    return { c: rows(1, latent + ropeDim, { rotary: { at: latent, dims: ropeDim }, reads }) }
  },
  forward({ x, params: p, position, state, mask, score, config }) {
    const shape = mlaShape(config)
    const { nopeDim, latent, ropeDim: rope, eps } = shape
    const norm = (y: Tensor, gain?: Tensor) => (gain ? rmsNormOf(y, gain, eps) : y)
    const q = p.q ? p.q(x) : p.qb(norm(p.qa(x), p.qaNorm)) // (N, H, nope + rope)
    const down = p.kva(x) // (N, latent + rope)
    const c = norm(down.slice(1, 0, latent), p.kvNorm)
    const turned = (y: Tensor) => (rope > 0 ? position.rotate(y) : y)
    const past = state.append({ c: concatOf(c.unsqueeze(1), turned(down.slice(1, latent, latent + rope).unsqueeze(1))) })
    const queries = { nope: q.slice(2, 0, nopeDim), rope: turned(q.slice(2, nopeDim, nopeDim + rope)) }
    const options = { mask, score, scale: shape.scale }
    if (shape.mode === 'materialised' || (shape.mode === 'auto' && worthMaking(shape, past))) {
      const rows = past.dense('c').squeeze(1) // (B, S, latent + rope)
      const kv = p.kvb(rows.slice(2, 0, latent)) // (B, S, H, nope + value)
      return p.o(attend(concatOf(queries.nope, queries.rope), derived(past, 'c', materialised(rows, kv, shape)), options).out)
    }
    const up = perHead(p.kvb.weight, shape)
    const inside = concatOf(toLatent(queries.nope, up.keys), queries.rope)
    const mixed =
      nopeDim > 0 ? attend(inside, past, { ...options, keys: 'c', valueWidth: latent }) : attend(inside, apart(past, shape), options)
    return p.o(matmulOf(mixed.out.permute(1, 0, 2), up.values.transpose()).permute(1, 0, 2))
  },
  bridges: mlaBridges,
})

/** What the latent is multiplied by for keys (H, nope, latent) and values (H, value, latent). */
function perHead(weight: Tensor, { heads, nopeDim, valueDim, latent }: MlaShape): { keys: Tensor; values: Tensor } {
  const all = (isCodec(weight.dtype) ? copyOf(weight) : weight).reshape([heads, nopeDim + valueDim, latent])
  return { keys: all.slice(1, 0, nopeDim), values: all.slice(1, nopeDim, nopeDim + valueDim) }
}

/** Queries (N, H, nope) as readers of latents (N, H, latent): their score with a latent is that with its key. */
const toLatent = (q: Tensor, keys: Tensor): Tensor => (keys.shape[1] === 0 ? q : matmulOf(q.permute(1, 0, 2), keys).permute(1, 0, 2))

/**
 * Whether keys and values made of all latents cost less than queries in the latent space. Per head, made ones save 2 · latent − nope − value
 * products for each pair of a token and a slot, of which half are taken to be seen (a prompt's are, and slots double), and the way of each
 * token into the latent space and back, latent · (nope + value); each slot that is made takes as many. Of eight timings in DeepSeek's shape, natively,
 * 64 to 512 tokens with and without 1,024 before them, this finds the faster. Rows in several segments are not made.
 */
function worthMaking({ nopeDim, valueDim, latent }: MlaShape, { tokens, more, parts, pages }: Past): boolean {
  const slots = pages ? capacity(pages.tables.c.shape[pages.tables.c.rank - 1]) * pages.size : capacity(parts.c.shape[2])
  const [n, each] = [capacity(tokens.count), latent * (nopeDim + valueDim)]
  return !more && (n * slots * (2 * latent - nopeDim - valueDim)) / 2 + n * each > tokens.batchRows * slots * each
}

/** Rows whose keys are all rotated: keys are the end of a row, values its beginning. */
const apart = (past: Past, shape: MlaShape): Past => ({
  ...past,
  ...apartIn(past, shape),
  more: past.more?.map(segment => apartIn(segment, shape)),
})
function apartIn(segment: Segment, { latent, ropeDim: rope }: MlaShape): Segment {
  const { c } = segment.parts
  const both = <T>(x: T) => ({ k: x, v: x })
  const wide = (q: Tensor) => concatOf(fill(0, [...q.shape.slice(0, -1), latent]), q)
  return {
    parts: { k: c.slice(3, latent, latent + rope), v: c.slice(3, 0, latent) },
    lengths: both(segment.lengths.c),
    rows: segment.rows && both(segment.rows.c),
    positions: segment.positions && both(segment.positions.c),
    pages: segment.pages && { ...segment.pages, tables: both(segment.pages.tables.c) },
    sees: segment.sees,
    turn: segment.turn && ((_, q, heads) => segment.turn!('c', wide(q), heads).slice(2, latent, latent + rope)),
    turnBack: segment.turnBack && ((_, y) => segment.turnBack!('c', y)),
  }
}

/** Keys and values (B, H, S, ·) of all heads from what the latents give (B, S, H, nope + value) and the shared keys. */
function materialised(rows: Tensor, kv: Tensor, { heads, nopeDim, valueDim, latent, ropeDim: rope }: MlaShape): { k: Tensor; v: Tensor } {
  const [b, s] = kv.shape as number[]
  const perSlot = kv.reshape([b * s, heads, nopeDim + valueDim])
  const shared = rows
    .reshape([b * s, 1, latent + rope])
    .slice(2, latent, latent + rope)
    .expand([b * s, heads, rope])
  const k = concatOf(perSlot.slice(2, 0, nopeDim), shared) // (B · S, H, nope + rope)
  return { k: bySlot(k), v: kv.slice(3, nopeDim, nopeDim + valueDim).permute(0, 2, 1, 3) }
  function bySlot(y: Tensor): Tensor {
    return dense(y)
      .reshape([b, s, heads, nopeDim + rope])
      .permute(0, 2, 1, 3)
  }
}
