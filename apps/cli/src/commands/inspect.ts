import type { CliCommand } from '../command.ts'
import { DEFAULT_MODEL } from '../context.ts'
import { encoderFacts, encoderFactsText, factsText, modelFacts } from '../model-facts.ts'

export const inspect: CliCommand = {
  name: 'inspect',
  summary: 'Show a model: layers, heads, parameters, KV bytes per token, types. Reads headers only.',
  define: c => c.argument('[model]', 'hub id, folder, .gguf or .safetensors', DEFAULT_MODEL),
  async run(context, [ref = DEFAULT_MODEL]) {
    const checkpoint = await context.open(ref, { remote: true })
    if (context.isEncoder(checkpoint)) {
      const facts = encoderFacts(checkpoint, context.encoder(checkpoint))
      return context.result(facts, () => encoderFactsText(facts))
    }
    const facts = modelFacts(checkpoint, await context.model(checkpoint))
    context.result(facts, () => factsText(facts))
  },
}
