import { readFile } from 'node:fs/promises'
import { addCache, cacheOf } from '../cache-flags.ts'
import type { CliCommand } from '../command.ts'
import { DEFAULT_MODEL } from '../context.ts'
import { positive } from '../numbers.ts'

export const evaluate: CliCommand = {
  name: 'eval',
  summary: 'Perplexity of a text.',
  define: c =>
    addCache(c)
      .argument('[model]', 'hub id, folder, .gguf or .safetensors', DEFAULT_MODEL)
      .requiredOption('--text <file>', 'UTF-8 text file')
      .option('--window <n>', 'tokens per independent window', positive, 512)
      .option('--prompt <n>', 'tokens of each window that are only read; with a policy half the window, else 0', positive)
      .option('--limit <n>', 'most tokens read', positive),
  async run(context, [ref = DEFAULT_MODEL], options) {
    const text = await readFile(options.text, 'utf8')
    const model = await context.load(ref, cacheOf(options))
    const ids = model.encode(text).slice(0, options.limit)
    const window = Math.min(options.window, ids.length)
    // Only what comes after a prompt feels its policy.
    const prompt = options.prompt ?? (options.policy ? Math.floor(window / 2) : 0)
    const { perplexity, nll, tokens } = await model.perplexity(ids, {
      window,
      prompt,
      signal: context.io.signal,
      onProgress: (done, total) => context.progress.update('evaluating', done, total),
    })
    context.result(
      {
        model: model.name,
        device: model.device.name,
        text: options.text,
        window: options.window,
        prompt,
        policy: options.policy,
        tokens,
        nll,
        perplexity,
      },
      () => `perplexity ${perplexity.toFixed(4)} (mean loss ${nll.toFixed(5)} nats over ${tokens} tokens)\n`,
    )
    await model.dispose()
  },
}
