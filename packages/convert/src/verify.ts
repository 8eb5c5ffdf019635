import type { Model } from '@attune/models'
import { AttuneError, type Device, type Storage } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import { tensorsHash } from './hash.ts'
import { planFrom } from './plan.ts'
import { CONVERSION_FORMAT, type ConversionRecord, storedMost } from './record.ts'
import { type Replayed, replay } from './replay.ts'
import { kvBytesPerToken } from './report.ts'
import { applyConversion } from './restore.ts'
import { worse } from './route.ts'
import { windowsOf } from './windows.ts'

/** One thing that conversion.json says. */
export interface Claim {
  readonly claim: string
  /** Undefined where it could not be looked into; `found` says why. */
  readonly holds?: boolean
  readonly said: string
  readonly found: string
}
export interface Verification {
  readonly claims: readonly Claim[]
  /** True when no claim was found wrong. */
  readonly holds: boolean
  /** Claims that were looked into. */
  readonly checked: number
}

export interface VerifyOptions {
  /** SHA-256 of a file of the folder, undefined where there is none. */
  hash?(file: string): Promise<string | undefined>
  /** The model that was converted, without which claims about it stay open. */
  readonly source?: { readonly checkpoint: Checkpoint; readonly model: Model }
  /** Runs both models again; without it nothing is measured. */
  readonly device?: Device
  readonly signal?: AbortSignal
  onLayer?(layer: number): void
}

/** How far a figure may lie from what was measured: other devices add up in other orders. */
const NEAR = { relative: 2e-3, absolute: 1e-5 }
/** Error of an exact conversion: what f32 leaves, and what rounding the files adds. */
const EXACT = { error: 1e-4, perRounding: 30 }

/**
 * Looks into every claim of an exported folder's conversion.json again: hashes of its files, layers, classes, type of its numbers, bytes of
 * keys and values, and where the source is given its hash, and on the recorded tokens the layers' errors, KL and perplexity. `plain` is the
 * model as config.json alone says it. Errors: `ERR_FORMAT` when there is no conversion.json to go by.
 */
export async function verify(checkpoint: Checkpoint, plain: Model, options: VerifyOptions = {}): Promise<Verification> {
  const record = recordOf(checkpoint)
  const claims: Claim[] = []
  const add = (claim: string, said: unknown, found: unknown, holds: boolean | undefined) =>
    void claims.push({ claim, said: String(said), found: String(found), ...(holds === undefined ? {} : { holds }) })

  for (const [file, said] of Object.entries(record.files ?? {})) {
    const found = await options.hash?.(file)
    add(`file ${file}`, short(said), found === undefined ? 'not there' : short(found), options.hash ? found === said : undefined)
  }
  let made: Model | undefined
  try {
    made = await applyConversion(checkpoint, plain)
    add('layers', `${record.layers.length} layers`, 'the files hold them', true)
  } catch (error) {
    if (!(error instanceof AttuneError)) throw error
    add('layers', `${record.layers.length} layers`, error.message, false)
  }
  const dtype = storedMost(checkpoint)
  add('type of most numbers', record.dtype, dtype, record.dtype === dtype)
  const { report } = record
  if (record.plan) add('plan', 'a plan', ...planned(record))
  if (report) {
    const exactness = report.layers.map(l => l.exactness).reduce(worse, 'exact')
    add('class', record.exactness, exactness, record.exactness === exactness && report.exactness === exactness)
    const after = made && kvBytesPerToken(made, report.kv as Storage)
    add('KV bytes per token', report.kvBytesPerToken.after, after ?? 'unknown', made && after === report.kvBytesPerToken.after)
  }
  await withSource(record, made, options, add)
  const checked = claims.filter(c => c.holds !== undefined)
  return { claims, holds: checked.every(c => c.holds), checked: checked.length }
}

type Add = (claim: string, said: unknown, found: unknown, holds: boolean | undefined) => void

async function withSource(record: ConversionRecord, made: Model | undefined, options: VerifyOptions, add: Add): Promise<void> {
  const { source, device, signal, onLayer } = options
  const { report, measured, heldOut } = record
  if (record.source.sha256 !== undefined) {
    const found = source ? await tensorsHash(source.checkpoint, signal) : undefined
    add(
      'source',
      short(record.source.sha256),
      found ? short(found) : 'no source was given',
      found === undefined ? undefined : found === record.source.sha256,
    )
  }
  if (report) {
    const before = source && kvBytesPerToken(source.model, report.kv as Storage)
    const said = report.kvBytesPerToken.before
    add('KV bytes per token of the source', said, before ?? 'no source was given', before === undefined ? undefined : before === said)
  }
  if (!measured || !heldOut) return
  const why = !source ? 'no source was given' : !device ? 'no device was given' : !made ? 'the layers cannot be read' : undefined
  let found: Replayed | undefined
  if (!why) {
    const windows = windowsOf(idsOf(heldOut), heldOut.window)
    const layers = measured.errors.map(e => e.layer)
    found = await replay(source!.model, made!, { device: device!, windows, layers, signal, onLayer })
  }
  const figure = (claim: string, said: number, own: number | undefined) =>
    add(claim, said.toPrecision(6), own?.toPrecision(6) ?? why, own === undefined ? undefined : near(said, own))
  const classes = new Map(report?.layers.map(l => [l.layer, l.exactness]))
  for (const [i, { layer, error }] of measured.errors.entries()) {
    const own = found?.errors[i].error
    figure(`error of layer ${layer}`, error, own)
    const most = EXACT.error + EXACT.perRounding * record.rounding.relative
    if (classes.get(layer) === 'exact')
      add(
        `exactness of layer ${layer}`,
        `at most ${most.toPrecision(3)}`,
        own?.toPrecision(3) ?? why,
        own === undefined ? undefined : own <= most,
      )
  }
  figure('mean KL', measured.meanKl, found?.meanKl)
  figure('perplexity of the source', measured.perplexity.before, found?.perplexity.before)
  figure('perplexity', measured.perplexity.after, found?.perplexity.after)
}

const near = (said: number, found: number): boolean => Math.abs(said - found) <= NEAR.absolute + NEAR.relative * Math.abs(said)
const short = (hash: string): string => hash.slice(0, 16)

/** Whether the plan is one, and names the layers of the report. */
function planned({ plan, report, layers }: ConversionRecord): [found: string, holds: boolean] {
  try {
    planFrom(plan)
  } catch (error) {
    return [(error as Error).message, false]
  }
  const wrong = report?.layers.find(l => layers[l.layer]?.variant !== l.to)
  if (wrong) return [`layer ${wrong.layer} is ${layers[wrong.layer]?.variant}, the report says ${wrong.to}`, false]
  return ['its layers are what the report says', true]
}

function idsOf({ ids, tokens }: NonNullable<ConversionRecord['heldOut']>): number[] {
  const list = ids.split(' ').map(Number)
  if (list.length < tokens || list.some(id => !Number.isInteger(id) || id < 0))
    throw new AttuneError('ERR_FORMAT', 'conversion.json: heldOut.ids are not token ids', { tokens })
  return list
}

function recordOf({ conversion, name }: Checkpoint): ConversionRecord {
  if (!conversion)
    throw new AttuneError('ERR_FORMAT', `${name} has no conversion.json: there is no claim to verify`, { file: 'conversion.json' })
  if (conversion.format !== CONVERSION_FORMAT || !Array.isArray(conversion.layers) || typeof conversion.source !== 'object')
    throw new AttuneError('ERR_FORMAT', `${name}: conversion.json is not one of format ${CONVERSION_FORMAT}`, { file: 'conversion.json' })
  return conversion as unknown as ConversionRecord
}
