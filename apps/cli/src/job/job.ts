import { planByQuality, type QualityPlan, type QualityPoint } from '@attune/convert'
import type { LoadedModel } from '@attune/kit'
import type { Model } from '@attune/models'
import type { Checkpoint } from '@attune/weights'
import type { Context } from '../context.ts'
import { factsText, modelFacts } from '../model-facts.ts'
import { table } from '../table.ts'
import { type Texts, textsFor } from '../texts.ts'
import { exportPlan } from './export-plan.ts'
import { type HeadMap, headMap } from './head-map.ts'
import { convertLadder, type Rung } from './ladder.ts'
import { heldPerplexity, type Measurement, measure } from './measure.ts'
import { measurementTable } from './measurement-table.ts'
import { sideBySide } from './side-by-side.ts'
import { ladderWords, planWords } from './words.ts'

export interface JobOptions {
  readonly checkpoint: Checkpoint
  readonly toy: boolean
  readonly out: string
  /** Tokens each model writes. */
  readonly tokens: number
  /** Most that the plan may multiply the perplexity by. */
  readonly limit: number
}

export interface JobResult {
  readonly model: string
  readonly device: string
  readonly date: string
  readonly toy: boolean
  readonly layers: number
  readonly measurements: readonly Measurement[]
  readonly points: readonly QualityPoint[]
  readonly plan?: QualityPlan['plan']
  /** What the models continued. */
  readonly prompt: string
  /** What the heads were shown. */
  readonly headPrompt: string
  readonly texts: readonly { readonly label: string; readonly text: string }[]
  readonly headMap?: HeadMap
  /** What was done, in sentences. */
  readonly about: readonly string[]
  readonly out: string
}

/** Tokens of one step: bounds the logits that are in memory at once. */
const CHUNK = 128
const HEAD_PROMPT = 'The cat did not cross the street because it was too tired.'

/** Inspect, convert, measure, generate side by side, export: one model from end to end. */
export async function runJob(context: Context, options: JobOptions): Promise<JobResult> {
  const { checkpoint, toy, out, tokens, limit } = options
  const { signal } = context.io
  const kit = await context.kit()
  const title = (n: number, text: string) => context.say(`\n${context.paint.bold(`${n}/5 ${text}`)}\n`)

  title(1, 'Inspect')
  const source = await kit.load(checkpoint, {
    ...context.loading,
    chunk: CHUNK,
    signal,
    onProgress: (done, total) => context.progress.update(`loading ${checkpoint.name}`, done, total),
  })
  context.say(factsText(modelFacts(checkpoint, source.model)))
  const texts = await textsFor(source.tokenizer, source.model.spec.maxPositions)

  title(2, 'Convert')
  const step = new Steps(context, source, texts)
  const first = await step.measure('source', source)
  const rungs = await convertLadder(source.model, source.device, texts, {
    signal,
    onProgress: ({ layer, layers }) => context.progress.update('calibrating and converting', layer, layers),
  })
  context.progress.update('calibrating and converting', 1, 1)
  const measurements: Measurement[] = [first]
  for (const rung of rungs) measurements.push(await step.rung(rung))
  const ladder = ladderWords(measurements)
  const plan = await step.plan(rungs, first, limit)
  if (plan) measurements.push(await step.converted('plan', plan))
  const about = [...ladder, ...(plan ? planWords(plan, limit) : [])]
  context.say(`${about.join('\n')}\n`)

  title(3, 'Generate side by side')
  const chat = checkpoint.chatTemplate !== undefined
  const prompt = chat ? 'Why is the sky blue? Answer in two sentences.' : 'The Rays of Light'
  context.say(`${context.paint.dim(`prompt: ${prompt}`)}\n\n`)
  const mha = rungs.find(r => r.key === 'mha')
  const others = [
    ...(mha ? [{ label: mha.label, model: step.wrap(mha.conversion.model) }] : []),
    ...(plan ? [{ label: 'plan', model: step.wrap(plan.model) }] : []),
  ]
  const speakers = [{ label: 'source', model: source }, ...others]
  const spoken = await sideBySide(context, speakers, chat ? [{ role: 'user', content: prompt }] : prompt, tokens)
  for (const { model } of others) await model.dispose([source])

  title(4, 'Measure')
  const [head, ...rows] = measurementTable(measurements)
  context.say(table(head, rows))
  const ids = source.encode(HEAD_PROMPT).slice(0, CHUNK)
  const map = await headMap(source, Math.floor(source.model.spec.layers.length / 2), ids, signal)
  const device = source.device.name
  await source.dispose()

  title(5, 'Export')
  const result: JobResult = {
    model: checkpoint.name,
    device,
    date: new Date().toISOString().slice(0, 10),
    toy,
    layers: source.model.spec.layers.length,
    measurements,
    points: plan?.points ?? [],
    plan: plan?.plan,
    prompt,
    headPrompt: HEAD_PROMPT,
    texts: speakers.map((s, i) => ({ label: s.label, text: spoken[i] })),
    headMap: map,
    about,
    out,
  }
  await exportPlan(context, { result, conversion: plan ?? mha?.conversion, checkpoint, calibration: texts.calibration })
  return result
}

/** The measuring parts, which all need the same things. */
class Steps {
  constructor(
    readonly context: Context,
    readonly source: LoadedModel,
    readonly texts: Texts,
  ) {}
  wrap(model: Model): LoadedModel {
    const { source } = this
    return new (source.constructor as typeof LoadedModel)(model, source.device, source.checkpoint, { chunk: CHUNK })
  }
  measure(label: string, model: LoadedModel, more: { conversion?: Rung['conversion']; perplexity?: number } = {}): Promise<Measurement> {
    return measure(label, model, {
      ...more,
      texts: this.texts,
      source: model === this.source ? undefined : this.source,
      signal: this.context.io.signal,
      onProgress: (done, total) => this.context.progress.update(`measuring ${label}`, done, total),
    })
  }
  rung({ label, conversion }: Rung): Promise<Measurement> {
    return this.converted(label, conversion)
  }
  async converted(label: string, conversion: Rung['conversion']): Promise<Measurement> {
    const model = this.wrap(conversion.model)
    try {
      return await this.measure(label, model, { conversion })
    } finally {
      await model.dispose([this.source])
    }
  }
  /** As many layers by least squares as the limit allows; undefined where nothing is left to convert. */
  async plan(rungs: readonly Rung[], source: Measurement, limit: number): Promise<QualityPlan | undefined> {
    const whole = rungs.find(r => r.key === 'least-squares')
    if (!whole) return undefined
    const { signal } = this.context.io
    return planByQuality(this.source.model, {
      to: 'mqa',
      method: 'least-squares',
      whole: whole.conversion,
      limit,
      signal,
      onPoint: p => this.context.progress.note(`${p.layers.length} layers: perplexity ${p.quality.toFixed(2)} (${p.factor.toFixed(3)} ×)`),
      evaluate: async model => {
        if (model === this.source.model) return source.perplexity
        const loaded = this.wrap(model)
        try {
          return await heldPerplexity(loaded, this.texts, signal)
        } finally {
          await loaded.dispose([this.source])
        }
      },
    })
  }
}
