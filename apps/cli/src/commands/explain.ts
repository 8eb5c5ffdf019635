import { drawInputs, drawNext } from '@attune/generate'
import { noOutput } from '@attune/models'
import type { CliCommand } from '../command.ts'
import { DEFAULT_MODEL } from '../context.ts'
import { positive } from '../numbers.ts'
import { table } from '../table.ts'

export const explain: CliCommand = {
  name: 'explain',
  summary: 'Which kernel or composition runs each op of a step, and why others refused.',
  define: c =>
    c
      .argument('[model]', 'hub id, folder, .gguf or .safetensors', DEFAULT_MODEL)
      .option('--tokens <n>', 'tokens of the step (1: decode)', positive, 1),
  async run(context, [ref = DEFAULT_MODEL], options) {
    const model = await context.load(ref)
    const { runner } = model
    const sequence = runner.open()
    const ids = new Array(options.tokens).fill(0)
    const recording =
      options.tokens === 1
        ? await runner.step([{ sequence, ids }], drawNext, {
            inputs: drawInputs(runner.batchRows, [{ row: sequence.row, options: {}, past: [], drawn: 0 }]),
          })
        : await runner.step([{ sequence, ids }], noOutput)
    const groups = new Map<string, { op: string; by: string; count: number; launches: number; refused: string[]; depth: number }>()
    for (const c of recording.choices) {
      const refused = c.refused.map(r => `${r.kernel}: ${r.why}`)
      const key = [c.op, c.by, c.depth, ...refused].join('|')
      const g = groups.get(key) ?? { op: c.op, by: c.by, count: 0, launches: 0, refused, depth: c.depth }
      g.count++
      g.launches += c.launches
      groups.set(key, g)
    }
    const ops = [...groups.values()]
    const total = recording.choices.length
    const kernels = recording.choices.filter(c => c.by !== 'compose' && c.by !== 'loops').length
    context.result(
      {
        model: model.name,
        device: model.device.name,
        tokens: options.tokens,
        ops,
        total,
        withKernel: kernels,
        share: kernels / total,
        launches: recording.launches.length,
      },
      () => {
        const rows = ops.map(o => [`${'  '.repeat(o.depth)}${o.op}`, o.by, o.count, o.launches, o.refused.join('; ')])
        return `${table(['op', 'by', 'times', 'launches', 'refused'], rows)}\n${kernels} of ${total} ops have a kernel on ${model.device.name}; ${recording.launches.length} launches\n`
      },
    )
    await model.dispose()
  },
}
