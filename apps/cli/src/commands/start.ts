import { basename, join } from 'node:path'
import { checkTarget } from '@attune/convert/node'
import type { CliCommand } from '../command.ts'
import { runJob } from '../job/job.ts'
import { obtain } from '../job/obtain.ts'
import { PeakMemory } from '../job/peak-memory.ts'
import { finite, positive } from '../numbers.ts'
import { bytes } from '../table.ts'

export const start: CliCommand = {
  name: 'start',
  summary: 'The main job from end to end: inspect, convert, generate side by side, measure, export.',
  define: c =>
    c
      .option(
        '--model <ref>',
        'hub id, folder, .gguf or .safetensors (default: SmolLM2-135M-Instruct from cache, hub or package; else a toy)',
      )
      .option('--out <dir>', 'folder for the converted model and the report (default: out/NAME-plan)')
      .option('--tokens <n>', 'tokens each model writes', positive, 48)
      .option('--quality <factor>', 'most that the plan may multiply the perplexity by', finite, 1.15),
  async run(context, _, options) {
    const begin = performance.now()
    const memory = new PeakMemory()
    try {
      const { checkpoint, toy } = await obtain(context, options.model)
      const obtained = performance.now()
      const out = options.out ?? join('out', `${basename(checkpoint.name).replace(/\.(gguf|safetensors)$/, '')}-plan`)
      await checkTarget(out)
      const result = await runJob(context, { checkpoint, toy, out, tokens: options.tokens, limit: options.quality })
      const seconds = (performance.now() - obtained) / 1000
      const peak = await memory.bytes()
      const fetching = (obtained - begin) / 1000
      context.result(
        { ...result, headMap: undefined, seconds, fetchingSeconds: fetching, peakBytes: peak },
        () =>
          `\nThe main job took ${seconds.toFixed(0)} s on ${result.device} (and ${fetching.toFixed(0)} s to obtain the model); peak resident memory ${bytes(peak)}.\n${toy ? 'Remember: this was a toy.\n' : ''}`,
      )
    } finally {
      memory.stop()
    }
  },
}
