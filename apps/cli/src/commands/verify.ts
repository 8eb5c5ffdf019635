import { applyConversion } from '@attune/convert'
import { verifyFolder } from '@attune/convert/node'
import { modelFrom } from '@attune/models'
import { AttuneError } from '@attune/tensor'
import type { CliCommand } from '../command.ts'
import { table } from '../table.ts'

export const verify: CliCommand = {
  name: 'verify',
  summary: 'Look into every claim of a converted folder again: hashes, layers, bytes, errors, KL, perplexity. Fails if one is wrong.',
  define: c =>
    c
      .argument('<folder>', 'folder with conversion.json')
      .option('--source <model>', 'the model it was made of: without it, claims about the difference stay open')
      .option('--no-replay', 'do not run the models again, only read files')
      .addHelpText('after', '\nExit code 1 when a claim is wrong. Claims that could not be looked into are listed as open.'),
  async run(context, [folder], options) {
    const kit = await context.kit()
    const checkpoint = await context.open(folder!)
    const load = context.loading
    const plain = modelFrom(checkpoint, kit.decoder(checkpoint), kit.variants, load)
    const from = options.source === undefined ? undefined : await context.open(options.source)
    const source = from && {
      checkpoint: from,
      model: await applyConversion(from, modelFrom(from, kit.decoder(from), kit.variants, load)),
    }
    const value = await verifyFolder(folder!, checkpoint, plain, {
      ...(source ? { source } : {}),
      ...(options.replay ? { device: kit.device() } : {}),
      signal: context.io.signal,
      onLayer: layer => context.progress.update('running both models', layer, plain.spec.layers.length),
    })
    context.result({ folder, ...value }, () => {
      const rows = value.claims.map(c => [c.claim, c.holds === undefined ? 'open' : c.holds ? 'holds' : 'WRONG', c.said, c.found])
      const open = value.claims.length - value.checked
      return [
        table(['claim', '', 'said', 'found'], rows),
        `${value.checked} claims looked into, ${value.holds ? 'all hold' : `${value.claims.filter(c => c.holds === false).length} wrong`}${open > 0 ? `; ${open} open` : ''}`,
        '',
      ].join('\n')
    })
    if (value.holds) return
    const wrong = value.claims.filter(c => c.holds === false).map(c => c.claim)
    throw new AttuneError('ERR_CONVERSION', `${folder}: conversion.json is wrong about ${wrong.join(', ')}`, { wrong })
  },
}
