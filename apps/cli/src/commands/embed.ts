import { AttuneError } from '@attune/tensor'
import type { CliCommand } from '../command.ts'
import { inputText } from '../lines.ts'
import { table } from '../table.ts'

const MODEL = 'sentence-transformers/all-MiniLM-L6-v2'
const POOLINGS = ['mean', 'cls', 'max'] as const

export const embed: CliCommand = {
  name: 'embed',
  summary: 'Embed texts with an encoder and compare them.',
  define: c =>
    c
      .argument('[texts...]', "texts; '-' reads lines of standard input")
      .option('-m, --model <model>', 'hub id or folder of an encoder', MODEL)
      .option('--pooling <how>', `${POOLINGS.join(', ')}; by the model's files, else mean`)
      .option('--no-normalise', 'leave the embeddings as long as they are'),
  async run(context, given, { model: ref, pooling, normalise }) {
    if (pooling !== undefined && !POOLINGS.includes(pooling))
      throw new AttuneError('ERR_ARGUMENT', `--pooling must be one of ${POOLINGS.join(', ')}, got '${pooling}'`, { pooling })
    const lines = given.flat() as string[]
    const texts = lines.join() === '-' ? (await inputText(context.io)).split('\n').filter(line => line !== '') : lines
    if (texts.length === 0) throw new AttuneError('ERR_ARGUMENT', 'there is no text to embed', {})
    const model = await context.loadEncoder(ref)
    const embeddings = await model.embed(texts, {
      ...(pooling ? { pooling } : {}),
      ...(normalise ? {} : { normalise }),
      signal: context.io.signal,
    })
    const cosines = embeddings.map(a => embeddings.map(b => cosine(a, b)))
    context.result({ model: model.name, device: model.device.name, dim: embeddings[0].length, texts, embeddings, cosines }, () =>
      table(
        ['text', ...texts.map((_, i) => String(i + 1))],
        texts.map((t, i) => [`${i + 1} ${t}`, ...cosines[i].map(x => x.toFixed(3))]),
      ),
    )
    await model.dispose()
  },
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((n, v, i) => n + v * y[i], 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}
