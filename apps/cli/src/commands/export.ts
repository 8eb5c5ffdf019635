import { basename, dirname } from 'node:path'
import { sameSpec } from '@attune/convert'
import { AttuneError } from '@attune/tensor'
import { fromEntry, GGUF_TYPES, type GgufType, saveGguf } from '@attune/weights'
import { diskOutput } from '@attune/weights/node'
import { models } from 'attune'
import type { CliCommand } from '../command.ts'

export const exportGguf: CliCommand = {
  name: 'export',
  summary: 'Write a model as one GGUF file, with its tokenizer, for llama.cpp and what is built on it.',
  define: c =>
    c
      .argument('<model>', 'hub id, folder (a converted one too), .gguf or .safetensors')
      .option('--type <type>', `type of the matrices: ${GGUF_TYPES.join(', ')}`, 'f16')
      .option('--out <file>', 'file to write (default: out/NAME-TYPE.gguf)'),
  async run(context, [ref], options) {
    const type = options.type as GgufType
    if (!GGUF_TYPES.includes(type))
      throw new AttuneError('ERR_ARGUMENT', `--type must be one of ${GGUF_TYPES.join(', ')}, got '${type}'`, { type })
    const checkpoint = await context.open(ref!)
    const name = basename(checkpoint.name).replace(/\.(gguf|safetensors)$/, '')
    const out: string = options.out ?? `out/${name}-${type}.gguf`
    await saveGguf(
      await diskOutput(dirname(out)),
      checkpoint,
      [...checkpoint.tensors.values()].map(entry => fromEntry(entry)),
      {
        type,
        name,
        fileName: basename(out),
        signal: context.io.signal,
        check: told => sameSpec(models, checkpoint.config, told, checkpoint.tensors),
        onProgress: ({ written, total }) => context.progress.update(`writing ${out}`, written, total),
      },
    )
    context.result({ out, type }, () => `written  ${out} in ${type}\n`)
  },
}
