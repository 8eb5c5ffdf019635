import { basename, dirname } from 'node:path'
import { allLogits, hiddenStates, type Runner } from '@attune/models'
import { fromValue, type TensorSource, writeSafetensors } from '@attune/weights'
import { diskOutput } from '@attune/weights/node'
import type { CliCommand } from '../command.ts'
import { type LogitInput, readLogitInputs } from '../logit-inputs.ts'

export const logits: CliCommand = {
  name: 'logits',
  summary: 'Write the logits (and hidden states) of given token ids, to compare with other programs.',
  define: c =>
    c
      .argument('<model>', 'hub id, folder, .gguf or .safetensors')
      .requiredOption('--inputs <file>', '{ "inputs": { NAME: { input_ids, attention_mask?, position_ids? } } }')
      .requiredOption('--out <file>', 'safetensors to write: NAME.logits, NAME.hidden_states.i')
      .option('--hidden', 'the residual stream too: embeddings, after each layer, the last after the final norm', false),
  async run(context, [ref], options) {
    const model = await context.load(ref!)
    const { spec } = model.model
    const inputs = await readLogitInputs(options.inputs, spec.vocab)
    const states = options.hidden ? spec.layers.length + 1 : 0
    const sources: TensorSource[] = []
    for (const input of inputs) {
      const shape = [input.ids.length, input.ids[0].length] as const
      const hidden = Array.from({ length: states }, () => new Float32Array(shape[0] * shape[1] * spec.dim))
      sources.push({
        name: `${input.name}.logits`,
        dtype: 'f32',
        shape: [...shape, spec.vocab],
        async *pieces(signal) {
          context.progress.note(`${input.name}: ${shape[0]} × ${shape[1]} tokens`)
          for (let row = 0; row < shape[0]; row++) yield* rowLogits(model.runner, input, row, hidden, signal)
        },
      })
      for (const [i, data] of hidden.entries())
        sources.push(
          fromValue(`${input.name}.hidden_states.${i}`, 'f32', [...shape, spec.dim], () => ({
            dtype: 'f32',
            shape: [...shape, spec.dim],
            bytes: new Uint8Array(data.buffer),
          })),
        )
    }
    const out = await diskOutput(dirname(options.out))
    try {
      await writeSafetensors(out, sources, {
        fileName: basename(options.out),
        maxShardBytes: Number.POSITIVE_INFINITY,
        signal: context.io.signal,
      })
      await out.commit()
    } catch (error) {
      await out.discard()
      throw error
    }
    context.result(
      { model: model.name, device: model.device.name, out: options.out, tensors: sources.map(s => ({ name: s.name, shape: s.shape })) },
      () => `${sources.map(s => `${s.name} (${s.shape.join(', ')})`).join('\n')}\nwritten to ${options.out}\n`,
    )
    await model.dispose()
  },
}

/** Logits of one row in order, zeros where it is padded; its hidden states go to `hidden`. */
async function* rowLogits(
  runner: Runner,
  { ids, mask, positions }: LogitInput,
  row: number,
  hidden: Float32Array[],
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { vocab, dim } = runner.model.spec
  const width = ids[row].length
  const real = ids[row].flatMap((_, t) => (mask[row][t] ? [t] : []))
  const span = 1 + Math.max(...positions.flatMap((p, r) => p.filter((_, t) => mask[r][t])))
  const sequence = runner.open()
  try {
    let next = 0
    for (let from = 0; from < real.length; from += runner.chunk) {
      const piece = real.slice(from, from + runner.chunk)
      const rows = await runner.turn(
        [{ sequence, ids: piece.map(t => ids[row][t]), positions: piece.map(t => positions[row][t]), span }],
        hidden.length > 0 ? hiddenStates : allLogits,
        async r => {
          for (const [i, all] of hidden.entries()) {
            const { data } = await r.read(`hidden.${i}`)
            piece.forEach((t, n) => all.set(data.subarray(n * dim, (n + 1) * dim) as Float32Array, (row * width + t) * dim))
          }
          return (await r.read('logits')).data as Float32Array
        },
        { signal },
      )
      for (const [n, t] of piece.entries()) {
        if (t > next) yield new Uint8Array((t - next) * vocab * 4)
        next = t + 1
        yield new Uint8Array(rows.buffer, rows.byteOffset + n * vocab * 4, vocab * 4)
      }
    }
    if (next < width) yield new Uint8Array((width - next) * vocab * 4)
  } finally {
    runner.close(sequence)
  }
}
