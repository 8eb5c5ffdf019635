import { createAttune } from 'attune'

/**
 * What the front door says of a model, in Node and on a page.
 * @param {Parameters<import('attune').Kit['load']>[0]} ref @param {import('attune').AttuneOptions} options
 */
export async function answer(ref, options) {
  const kit = await createAttune(options)
  const model = await kit.load(ref)
  const doctor = /** @type {{ doctor?(): unknown }} */ (model.device).doctor?.()
  let text = ''
  for await (const piece of model.generate('The Rays of Light', { maxTokens: 16, temperature: 0 })) text += piece.text
  await model.dispose()
  await kit.close()
  return { text, doctor }
}
