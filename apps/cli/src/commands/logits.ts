import { basename, dirname } from 'node:path'
import { writeSafetensors } from '@attune/weights'
import { diskOutput } from '@attune/weights/node'
import type { CliCommand } from '../command.ts'
import { decoderLogits } from '../job/decoder-logits.ts'
import { encoderLogits } from '../job/encoder-logits.ts'

export const logits: CliCommand = {
  name: 'logits',
  summary: 'Write the logits (and hidden states) of given token ids, to compare with other programs.',
  define: c =>
    c
      .argument('<model>', 'hub id, folder, .gguf or .safetensors')
      .requiredOption(
        '--inputs <file>',
        '{ "inputs": { NAME: { input_ids, attention_mask?, position_ids?, token_type_ids?, decoder_input_ids? } } }; images lie in the safetensors of the same name',
      )
      .requiredOption('--out <file>', 'safetensors to write: NAME.logits (or NAME.pooled), NAME.hidden_states.i')
      .option('--hidden', 'the residual stream too: embeddings, after each layer, the last after the final norm', false),
  async run(context, [ref], { inputs, out: path, hidden }) {
    const checkpoint = await context.open(ref!)
    const model = context.isEncoder(checkpoint) ? await context.loadEncoder(checkpoint) : await context.load(checkpoint)
    const sources =
      'encoder' in model
        ? await encoderLogits(model, inputs, { hidden })
        : await decoderLogits(model, inputs, { hidden, note: text => context.progress.note(text) })
    const out = await diskOutput(dirname(path))
    try {
      await writeSafetensors(out, sources, { fileName: basename(path), maxShardBytes: Number.POSITIVE_INFINITY, signal: context.io.signal })
      await out.commit()
    } catch (error) {
      await out.discard()
      throw error
    }
    context.result(
      { model: model.name, device: model.device.name, out: path, tensors: sources.map(s => ({ name: s.name, shape: s.shape })) },
      () => `${sources.map(s => `${s.name} (${s.shape.join(', ')})`).join('\n')}\nwritten to ${path}\n`,
    )
    await model.dispose()
  },
}
