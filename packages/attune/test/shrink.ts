import { readFile } from 'node:fs/promises'
import { exportFolder } from '@attune/convert/node'
import { openModel } from '@attune/weights/node'
import { createAttune, planByQuality } from 'attune'

/** Converts as many layers to multi-query attention as quality allows, shows what that changed, and writes the model. */
export async function shrink(ref: string, textFile: string, out: string, say = console.log) {
  const kit = await createAttune({ open: openModel })
  const source = await kit.load(ref)
  const ids = source.encode(await readFile(textFile, 'utf8'))
  const [calibration, heldOut] = [ids.slice(0, 2048), ids.slice(2048, 2560)]
  const { device, checkpoint } = source
  const evaluate = async (model: typeof source.model) => (await kit.wrap(model, checkpoint).perplexity(heldOut)).perplexity
  const how = { to: 'mqa', method: 'least-squares', limit: 1.15 }
  const plan = await planByQuality(source.model, { ...how, device, calibration, heldOut, evaluate })
  const small = kit.wrap(plan.model, checkpoint)
  const { meanKl, layerErrors } = await source.twin(small, heldOut)
  say(`layers ${plan.report.layers.map(l => l.layer)}: mean KL ${meanKl}, worst layer ${Math.max(...layerErrors)}`)
  say(`KV bytes per token: ${source.cost().kvBytesPerToken} → ${small.cost().kvBytesPerToken}`)
  for await (const piece of small.generate('The Rays of Light', { maxTokens: 24 })) say(piece.text)
  await exportFolder(small.model, out, checkpoint, { conversion: plan, calibration })
  await kit.close()
}
