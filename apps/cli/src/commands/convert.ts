import { basename } from 'node:path'
import { EXPORT_DTYPES } from '@attune/convert'
import { checkTarget } from '@attune/convert/node'
import { Option } from 'commander'
import type { CliCommand } from '../command.ts'
import { conversionOf, type Made, textsOf } from '../conversion.ts'
import { dryRunOf, dryRunText } from '../dry-run.ts'
import { finite, positive } from '../numbers.ts'
import { named, planOf } from '../plan-flags.ts'
import { fixed, table } from '../table.ts'

export const convert: CliCommand = {
  name: 'convert',
  summary: 'Convert the attention of a model, by flags or a plan file, and write it as a Hugging Face folder.',
  define: c =>
    c
      .argument('<model>', 'hub id, folder, .gguf or .safetensors')
      .option('--to <variant>', 'variant the layers become: mha, gqa, mqa, mla')
      .option('--method <name>', 'how, where it is not exact: mean, aligned, least-squares; transmla, mha2mla (default: the closest)')
      .option('--layers <list>', "layers such as '0-4,7', or 'all'", 'all')
      .option('--kv-heads <n>', 'key-value heads, for gqa', positive)
      .option('--set <name=value>', 'of the layers it becomes, again and again: ropeDim=64, latent=193, latentNorm', named)
      .option('--option <name=value>', 'of the method, again and again: rope=real, freqfold=2', named)
      .option('--plan <file>', 'YAML or JSON: { layers: [{ layers: 0-4, to: mqa, method: least-squares }] }')
      .option('--quality <factor>', 'convert as many of the layers as keep perplexity within this factor of the source', finite)
      .option('--calibration <file>', "UTF-8 text to calibrate and measure on, or 'builtin' (Newton's Opticks)", 'builtin')
      .option('--seed <n>', 'seed of the methods that draw', positive)
      .addOption(
        new Option('--dtype <type>', 'type of the written weights; packed ones, and packed weights as they are, need a .gguf as --out')
          .choices(EXPORT_DTYPES)
          .default('as-stored'),
      )
      .option('--out <path>', 'folder to write, or a .gguf file (default: out/NAME-converted)')
      .option('--no-measure', 'do not run the result beside the source for KL and perplexity')
      .option('--resume', 'go on with the unfinished conversion to the same folder; without this flag too, if it is the same one', false)
      .option('--restart', 'throw an unfinished conversion to the same folder away', false)
      .option('--dry-run', 'print cost and expected class, write nothing', false)
      .addHelpText('after', PLAN_HELP),
  async run(context, [ref], options) {
    const plan = await planOf(options)
    const checkpoint = await context.open(ref!)
    if (options.dryRun) {
      const model = await context.model(checkpoint)
      const texts = await textsOf(checkpoint, model, options)
      const value = dryRunOf(checkpoint.name, model, plan, texts)
      context.result(value, () => dryRunText(value))
      return
    }
    const out = options.out ?? `out/${basename(checkpoint.name).replace(/\.(gguf|safetensors)$/, '')}-converted`
    await checkTarget(out)
    const made = await conversionOf(context, checkpoint, plan, options, out)
    context.result({ out, ...made.record, quality: made.points }, () => resultText(made, out))
    if (made.report.layers.length === 0) context.progress.note('no layer could be converted within the limit')
  },
}

const PLAN_HELP = `
A plan file names what becomes of which layers; layers it does not name stay as they are:

  layers:
    - { layers: 0-4, to: mqa, method: least-squares }
    - { layers: [7, 9], to: gqa, config: { kvHeads: 2 } }`

function resultText({ report, record, points }: Made, out: string): string {
  const layers = report.layers.map(l => [
    l.layer,
    `${l.from} → ${l.to}`,
    l.path.join(', '),
    l.exactness,
    l.error === undefined ? '–' : fixed(l.error),
  ])
  const tried = points.map(p => [p.layers.length, fixed(p.quality), p.factor.toFixed(3), p.kvBytesPerToken, p.kept ? 'kept' : 'too much'])
  const { before, after } = report.kvBytesPerToken
  return [
    table(['layer', 'attention', 'by', 'class', 'relative error'], layers),
    ...(tried.length > 0 ? [table(['layers', 'perplexity', 'factor', 'KV B/token', ''], tried)] : []),
    `class               ${report.exactness}`,
    `KV bytes per token  ${before} → ${after}`,
    ...(record.measured
      ? [
          `perplexity          ${record.measured.perplexity.before.toFixed(3)} → ${record.measured.perplexity.after.toFixed(3)}`,
          `mean KL             ${fixed(record.measured.meanKl)} nats over ${record.measured.tokens} tokens`,
        ]
      : []),
    `written             ${out} in ${record.dtype}${record.rounding.relative > 0 ? ` (rounding error ${fixed(record.rounding.relative)})` : ''}`,
    '',
  ].join('\n')
}
