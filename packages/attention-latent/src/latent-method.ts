import { type Bridge, type BridgeInput, bridge, type Calibration } from '@attune/attention'
import { type Matrix, topEigen, transpose } from '@attune/linalg'
import type { ParamValues } from '@attune/nn'
import type { PositionSpec } from '@attune/position'
import { AttuneError } from '@attune/tensor'
import type { JointLatent } from './joint-latent.ts'
import type { KeyMix } from './key-mix.ts'
import { latentForm } from './latent-form.ts'
import { constantGain, type NormMethod } from './latent-norms.ts'
import { latentParams } from './latent-params.ts'
import { type MlaConfig, mlaShape } from './mla-config.ts'
import { moved, outputMoments, stackedRows, trace } from './moments.ts'
import { pickedPosition, rotationFactor } from './positions.ts'
import type { Rotary } from './rotary-pairs.ts'
import {
  type OptionRules,
  oneOf,
  onlyWishes,
  positive,
  SOURCES,
  type SourceHeads,
  sourceHeads,
  whyOptions,
  whySource,
} from './source-heads.ts'

type Asked = Parameters<NonNullable<Bridge['why']>>[0]

/** What a method decides from. */
export interface LatentTask {
  readonly source: SourceHeads
  readonly to: MlaConfig
  /** Numbers of the latent without a constant channel. */
  readonly components: number
  readonly rotary?: Rotary
  /** Positions of the layer in full. */
  readonly position?: PositionSpec
  readonly options: Readonly<Record<string, any>>
  readonly params: ParamValues
  readonly gram: Float64Array
  /** Keys and values of all heads from the layer's input and a 1, (2 · kvHeads · d, dim + 1), and their second moments. */
  readonly rows: Matrix
  readonly moments: Matrix
}

/** A way of making latent attention from heads: which keys stay rotated, and a latent for everything else. */
export interface LatentMethod {
  readonly name: string
  readonly paper: string
  readonly options: OptionRules
  /** Dimensions of a head that its queries ask for unrotated where `ropeDim` numbers stay rotated in all. */
  nopeDim(source: SourceHeads, ropeDim: number): number
  why(source: SourceHeads, to: MlaConfig, input: Asked): string | undefined
  make(task: LatentTask): Promise<{
    readonly mix: KeyMix
    readonly latent: JointLatent
    /** Per key head: those dimensions. */
    readonly nope: readonly (readonly number[])[]
    readonly figures: Readonly<Record<string, number>>
  }>
}

const WISHES = ['latent', 'ropeDim', 'queryLatent', 'latentNorm', 'mode']
const NORMS: OptionRules = { norm: oneOf('channel', 'gain'), normScale: positive }

/** A method as bridges from every variant of key-value heads. Without wishes all keys stay rotated and every rank is full. */
export function latentBridges(method: LatentMethod): Bridge[] {
  return SOURCES.map(variant => {
    const why: NonNullable<Bridge['why']> = input => {
      const source = sourceHeads(variant, input.from)
      return (
        whySource(input) ??
        whyOptions(input.options, { ...method.options, ...NORMS }) ??
        method.why(source, input.to, input) ??
        whySizes(method, source, input.to, input.options)
      )
    }
    return bridge<any, MlaConfig>({
      ...{ name: method.name, from: variant, to: 'mla', exactness: 'exact-at-full-rank', paper: method.paper, needs: 'calibration' },
      why,
      config(from, wish, layer) {
        onlyWishes(wish, from, WISHES)
        const s = sourceHeads(variant, from)
        const turns = layer ? (layer.rotary?.dims ?? 0) : s.headDim
        const { ropeDim = s.kvHeads * turns, latentNorm = false, queryLatent, mode } = wish
        const latent = wish.latent ?? fullRank(s, ropeDim) + (latentNorm ? 1 : 0)
        return {
          ...{ dim: s.dim, heads: s.heads, nopeDim: method.nopeDim(s, ropeDim), ropeDim, valueDim: s.headDim, latent },
          ...(queryLatent !== undefined && { queryLatent }),
          ...{ latentNorm, bias: s.bias || latentNorm, queryBias: s.bias && queryLatent === undefined, outBias: s.outBias || latentNorm },
          ...(mode && { mode }),
        }
      },
      async params(input) {
        const reason = why(input)
        if (reason) throw new AttuneError('ERR_CONVERSION', `${variant} to mla by ${method.name}: ${reason}`, { bridge: method.name })
        return converted(method, sourceHeads(variant, input.from), input)
      },
    })
  })
}

async function converted(method: LatentMethod, source: SourceHeads, input: BridgeInput<any, MlaConfig>): Promise<ParamValues> {
  const { params, calibration, rotary, position, options = {}, to } = input
  if (calibration?.gram.length !== (source.dim + 1) ** 2)
    throw new AttuneError('ERR_ARGUMENT', `${method.name} needs calibration: a Gram matrix of ${source.dim + 1}²`, { dim: source.dim })
  const rows = await stackedRows([params.get('k')!, params.get('v')!], source.dim)
  const moments = outputMoments(rows, calibration.gram)
  const spare = spareChannels(to, options)
  const components = to.latent - spare
  const { gram, tokens } = calibration
  const { mix, latent, nope, figures } = await method.make({
    source,
    to,
    components,
    rotary,
    position,
    options,
    params,
    gram,
    rows,
    moments,
  })
  const scale = source.scale * Math.sqrt(to.nopeDim + to.ropeDim)
  const form = latentForm({ source, mix, latent, nope, factor: rotationFactor(position), scale })
  const queries = to.queryLatent === undefined ? undefined : await queryLatent(params, source, to.queryLatent - spare, calibration)
  const { eps, latentNorm } = mlaShape(to)
  const gain = (width: number, square: number) =>
    constantGain((options.norm as NormMethod) ?? 'channel', width, square / tokens, { eps, times: (options.normScale as number) ?? 300 })
  const norms = latentNorm
    ? { latent: gain(components, trace(moved(latent.down, moments))), queries: queries && gain(queries.rows.rows, queries.square) }
    : undefined
  input.report?.({ ...figures, latentEnergy: latent.kept, ...(queries && { queryEnergy: queries.kept }) })
  if (position) input.place?.(pickedPosition(position, mix.pairs))
  return latentParams(params, source, to, { ...form, queryLatent: queries?.rows, norms })
}

/** Numbers of all keys that are not rotated and of all values. */
const fullRank = ({ kvHeads, headDim }: SourceHeads, ropeDim: number): number => 2 * kvHeads * headDim - ropeDim
const spareChannels = (to: MlaConfig, options: BridgeInput['options']): number => (to.latentNorm && options?.norm !== 'gain' ? 1 : 0)

function whySizes(method: LatentMethod, source: SourceHeads, to: MlaConfig, options: BridgeInput['options']): string | undefined {
  const spare = spareChannels(to, options)
  const range = (what: string, n: number, most: number) =>
    n - spare >= 1 && n - spare <= most ? undefined : `${what} must be from ${1 + spare} to ${most + spare} numbers, got ${n}`
  if (to.dim !== source.dim || to.heads !== source.heads || to.valueDim !== source.headDim || to.scale !== undefined)
    return `dim ${to.dim}, heads ${to.heads}, valueDim ${to.valueDim} and scale ${to.scale} must be ${source.dim}, ${source.heads}, ${source.headDim} and none`
  if (to.nopeDim !== method.nopeDim(source, to.ropeDim)) return `nopeDim ${to.nopeDim} does not fit ropeDim ${to.ropeDim}`
  return (
    range('latent', to.latent, fullRank(source, to.ropeDim)) ??
    (to.queryLatent === undefined ? undefined : range('queryLatent', to.queryLatent, source.heads * source.headDim))
  )
}

/** Principal components of all queries. */
async function queryLatent(params: ParamValues, source: SourceHeads, count: number, { gram }: Calibration) {
  const moments = outputMoments(await stackedRows([params.get('q')!], source.dim), gram)
  const { values, vectors } = topEigen(moments, count)
  const square = values.reduce((a, b) => a + Math.max(0, b), 0)
  const all = trace(moments)
  return { rows: transpose(vectors), square, kept: all > 0 ? Math.min(1, square / all) : 1 }
}
