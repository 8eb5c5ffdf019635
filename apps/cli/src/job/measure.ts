import type { Conversion } from '@attune/convert'
import type { LoadedModel } from '@attune/kit'
import { noOutput } from '@attune/models'
import type { Texts } from '../texts.ts'

/** One model's line of the table. */
export interface Measurement {
  readonly label: string
  readonly exactness: string
  readonly layersConverted: number
  readonly perplexity: number
  readonly kvBytesPerToken: number
  /** Tokens per second. */
  readonly prefill: number
  readonly decode: number
  /** Against the source, on the first held-out window; the source has none. */
  readonly maxLogitDifference?: number
  readonly meanKl?: number
  /** Relative error of the attention's output per converted layer, given the source's inputs. */
  readonly layerErrors: readonly { readonly layer: number; readonly error: number }[]
  readonly worst?: { readonly layer: number; readonly error: number }
}

export interface MeasureOptions {
  readonly texts: Texts
  readonly source?: LoadedModel
  readonly conversion?: Conversion
  /** Perplexity where it is known already. */
  readonly perplexity?: number
  readonly signal: AbortSignal
  onProgress?(done: number, total: number): void
}

/** Measures a model on the held-out windows, and against the source on the first of them. */
export async function measure(label: string, model: LoadedModel, options: MeasureOptions): Promise<Measurement> {
  const { texts, source, conversion, signal, onProgress } = options
  const speed = await speedOf(model, texts.held[0], signal)
  onProgress?.(1, 3)
  const perplexity = options.perplexity ?? (await heldPerplexity(model, texts, signal))
  onProgress?.(2, 3)
  const twin = source && (await source.twin(model, texts.held[0], { signal }))
  onProgress?.(3, 3)
  const layerErrors = (conversion?.report.layers ?? []).flatMap(l => (l.error === undefined ? [] : [{ layer: l.layer, error: l.error }]))
  return {
    label,
    exactness: conversion?.report.exactness ?? 'source',
    layersConverted: conversion?.report.layers.length ?? 0,
    perplexity,
    kvBytesPerToken: model.cost().kvBytesPerToken,
    ...speed,
    maxLogitDifference: twin?.maxLogitDifference,
    meanKl: twin?.meanKl,
    layerErrors,
    worst: [...layerErrors].sort((a, b) => b.error - a.error)[0],
  }
}

/** Perplexity over all held-out windows together, each read on its own. */
export async function heldPerplexity(model: LoadedModel, { held }: Texts, signal: AbortSignal): Promise<number> {
  let [loss, tokens] = [0, 0]
  for (const window of held) {
    const p = await model.perplexity(window, { signal })
    loss += p.nll * p.tokens
    tokens += p.tokens
  }
  return Math.exp(loss / tokens)
}

const DECODED = 12

/** Tokens per second of reading a prompt and of writing after it. */
async function speedOf(model: LoadedModel, window: readonly number[], signal: AbortSignal): Promise<{ prefill: number; decode: number }> {
  const { runner } = model
  const prompt = window.slice(0, Math.max(2, window.length >> 1))
  const sequence = runner.open()
  let from = 0
  try {
    await runner.feed(sequence, prompt, noOutput, undefined, { signal }) // records
    runner.trim(sequence, 0)
    from = performance.now()
    await runner.feed(sequence, prompt, noOutput, undefined, { signal })
  } finally {
    runner.close(sequence)
  }
  const prefill = (1000 * prompt.length) / (performance.now() - from)
  using session = model.session()
  let count = 0
  for await (const _ of session.generate(prompt, { maxTokens: DECODED + 2, endIds: [], signal })) {
    if (++count === 2) from = performance.now()
  }
  return { prefill, decode: (1000 * Math.min(count - 2, DECODED)) / (performance.now() - from) }
}
