import { logitDifference } from '@attune/evaluate'
import { allLogits } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import type { LoadedModel } from 'attune'
import type { Context } from '../context.ts'
import { fixed } from '../table.ts'
import { type OnnxModel, openOnnx } from './transformers-js.ts'

/** Runs a model here and its ONNX export in transformers.js on the same text, and says how they differ and how fast each is. */
export async function compareOnnx(context: Context, ref: string, text: string, options: Record<string, any>): Promise<void> {
  const theirs = await openOnnx(options.onnx ?? ref, { dtype: options.onnxDtype })
  try {
    const ours = await context.load(ref)
    const ids = ours.encode(text).slice(0, options.limit)
    const difference = await onText(context, ours, theirs, ids)
    const greedy = await greedyOf(context, ours, theirs, ids, options.maxTokens)
    context.result(
      {
        a: { name: ours.name, runs: ours.device.name, tokensPerSecond: greedy.speeds[0] },
        b: { name: theirs.name, runs: `transformers.js ${theirs.version}`, tokensPerSecond: greedy.speeds[1] },
        ...difference,
        greedy: { tokens: options.maxTokens, diverges: greedy.diverges },
      },
      () =>
        [
          `tokens                  ${difference.tokens}`,
          `mean KL(a ‖ b)          ${fixed(difference.meanKl)} nats (largest ${fixed(difference.maxKl)})`,
          `max |Δlogit|            ${fixed(difference.maxLogitDifference)}`,
          `same best token         ${(100 * difference.topAgreement).toFixed(1)} %`,
          `greedy continuation     ${divergenceText(ours, greedy.diverges, options.maxTokens)}`,
          `a: tokens per second    ${fixed(greedy.speeds[0])} on ${ours.device.name}`,
          `b: tokens per second    ${fixed(greedy.speeds[1])} in transformers.js ${theirs.version}`,
          '',
        ].join('\n'),
    )
    await ours.dispose()
  } finally {
    await theirs.close()
  }
}

async function onText({ io, progress }: Context, ours: LoadedModel, theirs: OnnxModel, ids: readonly number[]) {
  const { vocab } = ours.model.spec
  if (ids.length === 0) throw new AttuneError('ERR_ARGUMENT', 'there is nothing to compare on: the text has no tokens', {})
  const own = new Float32Array(ids.length * vocab)
  const { runner } = ours
  const sequence = runner.open()
  try {
    const keep = async (r: { read(name: string): Promise<{ data: ArrayLike<number> }> }, from: number) => {
      own.set((await r.read('logits')).data, from * vocab)
      progress.update('comparing', from, ids.length)
    }
    await runner.feed(sequence, ids, allLogits, keep, { signal: io.signal })
  } finally {
    runner.close(sequence)
  }
  const given = await theirs.logits(ids)
  if (given.vocab !== vocab)
    throw new AttuneError(
      'ERR_ARGUMENT',
      `the models have vocabularies of ${vocab} and ${given.vocab} tokens: ${ours.name}, ${theirs.name}`,
      {
        vocab: [vocab, given.vocab],
      },
    )
  return logitDifference(own, given.data, vocab)
}

/** Where the best continuations part, and by how little ours preferred its token there. */
interface Divergence {
  readonly index: number
  readonly tokens: readonly [number, number]
  readonly gap: number
}

async function greedyOf({ io }: Context, ours: LoadedModel, theirs: OnnxModel, ids: readonly number[], count: number) {
  const own = async (tokens: number): Promise<number[]> => {
    using session = ours.session()
    for await (const _ of session.generate(ids, { temperature: 0, maxTokens: tokens, endIds: [], signal: io.signal }));
    return session.ids.slice(ids.length)
  }
  const [a, b] = [await timed(own, count), await timed(n => theirs.continue(ids, n), count)]
  const index = a.tokens.findIndex((id, i) => id !== b.tokens[i])
  const speeds = [a.speed, b.speed] as const
  if (index < 0) return { speeds, diverges: undefined }
  const tokens = [a.tokens[index], b.tokens[index]] as const
  using session = ours.session()
  for await (const _ of session.generate(ids, { temperature: 0, maxTokens: Math.max(1, index), endIds: [] }));
  if (index === 0) session.trim(ids.length)
  const [[x], [y]] = [await session.score([tokens[0]]), await session.score([tokens[1]])]
  const diverges: Divergence = { index, tokens, gap: x - y }
  return { speeds, diverges }
}

/** The second of two runs: the first one compiles and fetches. */
async function timed(generate: (count: number) => Promise<number[]>, count: number) {
  await generate(Math.min(2, count))
  const from = performance.now()
  const tokens = await generate(count)
  return { tokens, speed: (1000 * tokens.length) / (performance.now() - from) }
}

function divergenceText({ tokenizer }: LoadedModel, diverges: Divergence | undefined, count: number): string {
  if (!diverges) return `the same ${count} tokens`
  const [a, b] = diverges.tokens.map(id => JSON.stringify(tokenizer.decode([id], { special: true })))
  return `parts at token ${diverges.index}: ${a} and ${b}, ${fixed(diverges.gap)} nats apart`
}
