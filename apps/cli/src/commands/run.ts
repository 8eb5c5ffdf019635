import { readFile } from 'node:fs/promises'
import { addCache, cacheOf } from '../cache-flags.ts'
import type { CliCommand } from '../command.ts'
import { type Context, DEFAULT_MODEL } from '../context.ts'
import { inputText } from '../lines.ts'
import { addSampling, samplingOf } from '../sampling-flags.ts'

export const run: CliCommand = {
  name: 'run',
  summary: 'Continue a prompt, token by token.',
  define: c =>
    addSampling(
      addCache(c)
        .argument('[model]', 'hub id, folder, .gguf or .safetensors', DEFAULT_MODEL)
        .option('-p, --prompt <text>', 'text to continue', 'The capital of France is')
        .option('--prompt-file <file>', "read the prompt from a UTF-8 file; '-' reads standard input")
        .option('--chat', 'wrap the prompt in the chat template', false),
    ),
  async run(context, [ref = DEFAULT_MODEL], options) {
    const text = await promptOf(context, options)
    const model = await context.load(ref, cacheOf(options))
    const prompt = options.chat ? [{ role: 'user', content: text }] : text
    const from = performance.now()
    let first = 0
    let answer = ''
    const ids: number[] = []
    const pieces = model.generate(prompt, { ...samplingOf(options), signal: context.io.signal })
    let next = await pieces.next()
    for (; !next.done; next = await pieces.next()) {
      first ||= performance.now()
      ids.push(next.value.id)
      answer += next.value.text
      if (!context.json) context.io.out(next.value.text)
    }
    const seconds = (performance.now() - first) / 1000
    const speed = ids.length > 1 ? (ids.length - 1) / seconds : 0
    const value = {
      model: model.name,
      device: model.device.name,
      prompt: text,
      text: answer,
      ids,
      finish: next.value,
      firstTokenSeconds: (first - from) / 1000,
      tokensPerSecond: speed,
      cacheBytes: model.runner.cacheBytes,
    }
    context.result(value, () => '\n')
    context.progress.note(
      `${ids.length} tokens, first after ${value.firstTokenSeconds.toFixed(2)} s, then ${speed.toFixed(1)} tokens/s on ${model.device.name}`,
    )
    await model.dispose()
  },
}

/** Prompt of `--prompt`, or of `--prompt-file`, where `-` is standard input. */
async function promptOf({ io }: Context, { prompt, promptFile }: Record<string, any>): Promise<string> {
  if (promptFile === undefined) return prompt
  return promptFile === '-' ? inputText(io) : readFile(promptFile, 'utf8')
}
