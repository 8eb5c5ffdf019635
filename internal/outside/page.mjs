import { folderOf, httpSource, openCheckpoint } from '@attune/weights'
import { answer } from './answer.mjs'

/** Loads the model that the server has under /toy. */
globalThis.answer = async () => {
  const files = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors']
  const sources = await Promise.all(files.map(name => httpSource(`/toy/${name}`, { name })))
  return answer(await openCheckpoint(folderOf('toy', sources)), { cpu: { threads: 2 } })
}
