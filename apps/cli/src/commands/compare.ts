import { readFile } from 'node:fs/promises'
import { AttuneError } from '@attune/tensor'
import { Option } from 'commander'
import { compareOnnx } from '../against/compare-onnx.ts'
import { ONNX_TYPES } from '../against/transformers-js.ts'
import type { CliCommand } from '../command.ts'
import { positive } from '../numbers.ts'
import { fixed, table } from '../table.ts'

export const compare: CliCommand = {
  name: 'compare',
  summary: 'Run two models on the same text: KL per token, first diverging token, error per layer; or one here and in transformers.js.',
  define: c =>
    c
      .argument('<a>', 'source model')
      .argument('[b]', 'changed model')
      .option('--text <file>', 'UTF-8 text file')
      .option('-p, --prompt <text>', 'text to compare on', 'The quick brown fox jumps over the lazy dog.')
      .option('--limit <n>', 'most tokens', positive, 512)
      .addOption(new Option('--against <program>', 'compare with an ONNX export of <a> instead of [b]').choices(['transformers.js']))
      .option('--onnx <folder>', 'where that export is: config.json and onnx/ (default: <a> itself)')
      .addOption(new Option('--onnx-dtype <type>', 'which of its files').choices(ONNX_TYPES).default('fp32'))
      .option('-n, --max-tokens <n>', 'tokens to continue with, against an export', positive, 32),
  async run(context, [a, b], options) {
    const text = options.text ? await readFile(options.text, 'utf8') : (options.prompt as string)
    if (options.against && b === undefined) return compareOnnx(context, a!, text, options)
    if (options.against || b === undefined)
      throw new AttuneError('ERR_ARGUMENT', 'compare takes a second model, or --against transformers.js', { a, b })
    const source = await context.load(a!)
    const other = await context.load(b)
    const ids = source.encode(text).slice(0, options.limit)
    const report = await source.twin(other, ids, {
      signal: context.io.signal,
      onProgress: (done, total) => context.progress.update('comparing', done, total),
    })
    const cost = [source, other].map(m => m.cost().kvBytesPerToken)
    const diverges =
      report.firstDivergence < 0
        ? undefined
        : {
            index: report.firstDivergence,
            after: source.tokenizer.decode(ids.slice(Math.max(0, report.firstDivergence - 7), report.firstDivergence + 1)),
          }
    context.result({ a: source.name, b: other.name, kvBytesPerToken: cost, diverges, ...report }, () => {
      const layers = table(
        ['layer', 'a', 'b', 'relative error'],
        report.layerErrors.map((e, i) => [
          i,
          source.model.spec.layers[i].attention.variant,
          other.model.spec.layers[i].attention.variant,
          fixed(e),
        ]),
      )
      const worst = [...report.kl]
        .map((kl, i) => [i, fixed(kl), JSON.stringify(source.tokenizer.decode([ids[i]]))] as const)
        .sort((x, y) => Number(y[1]) - Number(x[1]))
        .slice(0, 8)
      return [
        `tokens               ${report.tokens}`,
        `mean KL(a ‖ b)       ${fixed(report.meanKl)} nats (largest ${fixed(report.maxKl)})`,
        `max |Δlogit|         ${fixed(report.maxLogitDifference)}`,
        `same best token      ${(100 * report.topAgreement).toFixed(1)} %`,
        `first divergence     ${diverges ? `token ${diverges.index}, after ${JSON.stringify(diverges.after)}` : 'none'}`,
        `KV bytes per token   ${cost[0]} → ${cost[1]}`,
        '',
        layers,
        table(['token', 'KL', 'text'], worst),
      ].join('\n')
    })
    await other.dispose([source])
    await source.dispose()
  },
}
