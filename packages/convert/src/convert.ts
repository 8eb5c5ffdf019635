import type { Exactness } from '@attune/attention'
import { type LayerSpec, type Model, swap } from '@attune/models'
import { type ParamValues, underPrefix, withPrefix } from '@attune/nn'
import { AttuneError, type Device, type Storage, storageName } from '@attune/tensor'
import { fitOutput, fitsOutput } from './fit-output.ts'
import { entriesOf, type Plan, type PlanEntry } from './plan.ts'
import { type ConversionReport, kvBytesPerToken, type LayerReport } from './report.ts'
import { optionsFor, type Route, rotaryOf, routeOf, worse } from './route.ts'
import type { StreamStore } from './stream.ts'
import { type LayerForm, type Needs, type Visit, walk } from './walk.ts'
import { windowsOf } from './windows.ts'

/** What a conversion runs on and is calibrated with. Ids are token ids of the source model. */
export interface ConvertOptions {
  /** Runs the calibration; needed unless every step is exact and nothing is measured. */
  readonly device?: Device
  /** Token ids to calibrate on. */
  readonly calibration?: ArrayLike<number>
  /** Token ids to measure each layer's error on; nothing is measured without. */
  readonly heldOut?: ArrayLike<number>
  /** Tokens per independent window (default 512). */
  readonly window?: number
  readonly seed?: number
  /** Later layers are calibrated on the stream of the converted layers, not of the source's. Default false: see the package's README. */
  readonly sequential?: boolean
  /** Holds the residual stream; in memory by default. */
  readonly spill?: StreamStore
  /** Element type that bytes of keys and values are reported for (default f32). */
  readonly kv?: Storage
  readonly signal?: AbortSignal
  onProgress?(event: ConvertProgress): void
}
export interface ConvertProgress {
  readonly layer: number
  readonly layers: number
}

/** A converted model beside what is known of the change: its plan and a report per layer. */
export interface Conversion {
  /** Shares every weight that was not touched; converted weights are made when their bytes are asked for. */
  readonly model: Model
  readonly report: ConversionReport
  readonly plan: Plan
}

/** Converts a model's layers as a plan says. Errors: `ERR_ARGUMENT`, `ERR_CONVERSION` (no bridge, or why it refuses), `ERR_ABORTED`. */
export async function convert(model: Model, plan: Plan, options: ConvertOptions = {}): Promise<Conversion> {
  return (await convertAll(model, [plan], options))[0]
}

/** Several conversions of one model; they share one walk through its layers unless `sequential`. */
export async function convertAll(model: Model, plans: readonly Plan[], options: ConvertOptions = {}): Promise<Conversion[]> {
  if (!options.sequential || plans.length < 2) return carryOut(model, plans, options)
  const out: Conversion[] = []
  for (const plan of plans) out.push(await convert(model, plan, options))
  return out
}

/** Keeps finished layers where they outlive the process. */
export interface LayerKeeper {
  /** Layers finished before, which are not converted again. */
  readonly finished: readonly { readonly form: LayerForm; readonly report: LayerReport }[]
  /** Layer that the walk goes on from; `spill` holds the stream before it. */
  readonly from: number
  /** Puts a form away; the one that comes back reads its weights from there. */
  keep(index: number, form: LayerForm): Promise<LayerForm>
  /** The walk is through a layer; `report` if it was converted. */
  done(index: number, report?: LayerReport): Promise<void>
}

/** As `convertAll`, with the layers of the one plan kept as they are finished. */
export async function carryOut(model: Model, plans: readonly Plan[], options: ConvertOptions, keeper?: LayerKeeper): Promise<Conversion[]> {
  const begin = performance.now()
  const jobs = plans.map(plan => new Job(model, plan, options.seed ?? 0, keeper))
  const windows = { calibration: windowsOf(options.calibration, options.window), heldOut: windowsOf(options.heldOut, options.window) }
  const layers = new Map<number, Needs>()
  for (const job of jobs)
    for (const [index, own] of job.needs()) {
      const other = layers.get(index)
      layers.set(index, { calibrate: own.calibrate || !!other?.calibrate, compare: own.compare || !!other?.compare })
    }
  const calibrate = [...layers.values()].some(l => l.calibrate || l.compare)
  if (calibrate && windows.calibration.length === 0)
    throw new AttuneError('ERR_ARGUMENT', 'this conversion needs calibration tokens', { methods: jobs.flatMap(j => j.methods) })
  if (!calibrate && windows.heldOut.length === 0) await unmeasured(model, jobs, options)
  else {
    if (!options.device) throw new AttuneError('ERR_ARGUMENT', 'a conversion that calibrates or measures needs a device', {})
    const walked = {
      ...windows,
      calibration: calibrate ? windows.calibration : [],
      device: options.device,
      layers,
      spill: options.spill,
      from: keeper?.from,
      signal: options.signal,
      onDone: async (layer: number) => keeper?.done(layer, jobs[0].report(layer)),
      onLayer: (layer: number) => options.onProgress?.({ layer, layers: Math.max(...layers.keys()) + 1 }),
    }
    await walk(model, walked, async v => {
      let form: LayerForm | undefined
      for (const job of jobs) form = await job.visit(v, windows.heldOut.length > 0, options.signal)
      return options.sequential ? form : undefined
    })
  }
  const seconds = (performance.now() - begin) / 1000
  const tokens = (list: readonly Int32Array[]) => list.reduce((n, w) => n + w.length, 0)
  return jobs.map(job =>
    job.result({
      seconds,
      kv: options.kv ?? 'f32',
      sequential: options.sequential ?? false,
      calibrationTokens: calibrate ? tokens(windows.calibration) : 0,
      heldOutTokens: tokens(windows.heldOut),
    }),
  )
}

async function unmeasured(model: Model, jobs: readonly Job[], { signal, onProgress }: ConvertOptions): Promise<void> {
  for (const job of jobs)
    for (const index of job.routes.keys()) {
      if (job.isDone(index)) continue
      onProgress?.({ layer: index, layers: model.spec.layers.length })
      if (signal?.aborted) throw new AttuneError('ERR_ABORTED', 'the conversion was aborted', {}, signal.reason)
      const values = underPrefix(model.values, `layers.${index}`)
      const nothing = { calibrationTokens: 0, eachCalibration: async () => {}, measure: async () => 0 }
      await job.visit({ index, layer: model.spec.layers[index], values, ...nothing }, false)
      await job.keeper?.done(index, job.report(index))
    }
}

/** One plan being carried out. */
class Job {
  readonly entries: Map<number, PlanEntry>
  readonly routes = new Map<number, Route>()
  readonly #fitted = new Set<number>()
  readonly #forms = new Map<number, LayerForm>()
  readonly #layers: LayerReport[] = []
  constructor(
    readonly model: Model,
    readonly plan: Plan,
    readonly seed: number,
    readonly keeper?: LayerKeeper,
  ) {
    this.entries = entriesOf(plan, model.spec.layers.length)
    for (const [i, entry] of this.entries) {
      const params = underPrefix(model.values, `layers.${i}.attention`)
      const route = routeOf(model.spec.layers[i], entry, params, model.variants, `layer ${i}`)
      this.routes.set(i, route)
      if (fitsOutput(model, entry, route, `layer ${i}`)) this.#fitted.add(i)
    }
    for (const { form, report } of keeper?.finished ?? []) {
      this.#forms.set(report.layer, form)
      this.#layers.push(report)
    }
  }
  isDone(layer: number): boolean {
    return this.#forms.has(layer)
  }
  report(layer: number): LayerReport | undefined {
    return this.#layers.find(l => l.layer === layer)
  }
  *needs(): Generator<[number, Needs]> {
    for (const [index, route] of this.routes) yield [index, { calibrate: route.needsCalibration, compare: this.#fitted.has(index) }]
  }
  get methods(): string[] {
    return [...new Set([...this.routes.values()].flatMap(r => r.steps.map(s => s.bridge.name)))]
  }

  async visit(v: Visit, measure: boolean, signal?: AbortSignal): Promise<LayerForm | undefined> {
    const route = this.routes.get(v.index)
    if (!route) return undefined
    const figures: Record<string, number> = {}
    let form = await formBy(route, this.entries.get(v.index)!, v, this.seed, figures)
    if (this.#fitted.has(v.index)) {
      const fitted = await fitOutput(this.model, v, form, signal)
      form = fitted.form
      Object.assign(figures, fitted.figures)
    }
    if (this.keeper) form = await this.keeper.keep(v.index, form)
    const error = measure ? await v.measure(form) : undefined
    this.#forms.set(v.index, form)
    this.#layers.push({
      layer: v.index,
      from: v.layer.attention.variant,
      to: form.layer.attention.variant,
      config: form.layer.attention.config,
      path: [...route.steps.map(s => s.bridge.name), ...(this.#fitted.has(v.index) ? ['fit output'] : [])],
      exactness: route.exactness,
      ...(error === undefined ? {} : { error }),
      figures,
    })
    return form
  }

  result({
    kv,
    ...about
  }: Pick<ConversionReport, 'seconds' | 'sequential' | 'calibrationTokens' | 'heldOutTokens'> & { kv: Storage }): Conversion {
    const model = withForms(this.model, this.#forms)
    const exactness = this.#layers.map(l => l.exactness).reduce<Exactness>(worse, 'exact')
    const bytes = { before: kvBytesPerToken(this.model, kv), after: kvBytesPerToken(model, kv) }
    return {
      model,
      plan: this.plan,
      report: { layers: this.#layers, exactness, kvBytesPerToken: bytes, kv: storageName(kv), seed: this.seed, ...about },
    }
  }
}

/** The model with some layers in another form; everything else is the same by reference. */
export function withForms(model: Model, forms: ReadonlyMap<number, LayerForm>): Model {
  const kept = [...model.values].filter(([path]) => !forms.has(Number(/^layers\.(\d+)\./.exec(path)?.[1] ?? -1)))
  const made = [...forms].flatMap(([i, form]) => [...withPrefix(form.values, `layers.${i}`)])
  return { ...model, values: new Map([...kept, ...made]), spec: swap(model.spec, (layer, i) => forms.get(i)?.layer ?? layer) }
}

async function formBy(route: Route, entry: PlanEntry, v: Visit, seed: number, figures: Record<string, number>): Promise<LayerForm> {
  let { variant, config, position } = v.layer.attention
  let params: ParamValues = underPrefix(v.values, 'attention')
  for (const { bridge, config: to } of route.steps) {
    const input = { from: config, to, params, rotary: rotaryOf(position), position, options: optionsFor(bridge, entry) }
    // A fixed seed per layer: a layer's result does not depend on which others are converted.
    params = await bridge.params({
      ...input,
      seed: seed + v.index,
      calibration: v.calibration,
      report: f => Object.assign(figures, f),
      place: p => {
        position = p
      },
    })
    variant = bridge.to
    config = to
  }
  const layer: LayerSpec = { ...v.layer, attention: { ...v.layer.attention, variant, config, position } }
  const others = [...v.values].filter(([path]) => !path.startsWith('attention.'))
  return { layer, values: new Map([...others, ...withPrefix(params, 'attention')]) }
}
