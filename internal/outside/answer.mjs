import { createAttune } from 'attune'

/** What the front door says of a model, in Node and on a page. */
export async function answer(ref, options) {
  const kit = await createAttune(options)
  const model = await kit.load(ref)
  const doctor = model.device.doctor()
  let text = ''
  for await (const piece of model.generate('The Rays of Light', { maxTokens: 16, temperature: 0 })) text += piece.text
  await model.dispose()
  await kit.close()
  return { text, doctor }
}
