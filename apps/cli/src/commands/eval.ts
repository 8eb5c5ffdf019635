import { readFile } from 'node:fs/promises'
import type { CliCommand } from '../command.ts'
import { DEFAULT_MODEL } from '../context.ts'
import { positive } from '../numbers.ts'

export const evaluate: CliCommand = {
  name: 'eval',
  summary: 'Perplexity of a text.',
  define: c =>
    c
      .argument('[model]', 'hub id, folder, .gguf or .safetensors', DEFAULT_MODEL)
      .requiredOption('--text <file>', 'UTF-8 text file')
      .option('--window <n>', 'tokens per independent window', positive, 512)
      .option('--limit <n>', 'most tokens read', positive),
  async run(context, [ref = DEFAULT_MODEL], options) {
    const text = await readFile(options.text, 'utf8')
    const model = await context.load(ref)
    const ids = model.encode(text).slice(0, options.limit)
    const { perplexity, nll, tokens } = await model.perplexity(ids, {
      window: Math.min(options.window, ids.length),
      signal: context.io.signal,
      onProgress: (done, total) => context.progress.update('evaluating', done, total),
    })
    context.result(
      { model: model.name, device: model.device.name, text: options.text, window: options.window, tokens, nll, perplexity },
      () => `perplexity ${perplexity.toFixed(4)} (mean loss ${nll.toFixed(5)} nats over ${tokens} tokens)\n`,
    )
    await model.dispose()
  },
}
