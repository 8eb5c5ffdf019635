import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

const bytes = (name: string) => readFileSync(new URL(`./fixtures/smollm2/${name}`, import.meta.url))
export const fixture = (name: string) => JSON.parse(bytes(name).toString('utf8'))

/** SmolLM2's tokenizer.json: stored without what follows from its merges, since token 252 + i is merge i joined. */
export function smollm2Tokenizer(): { name: string; tokenizerJson: Record<string, any>; tokenizerConfig: Record<string, any> } {
  const tokenizerJson = fixture('tokenizer.json')
  const { model } = tokenizerJson
  model.merges = gunzipSync(bytes('merges.txt.gz'))
    .toString('utf8')
    .split('\n')
    .map(line => line.split(' '))
  const base = Object.keys(model.vocab).length
  model.merges.forEach(([left, right]: [string, string], i: number) => {
    model.vocab[left + right] = base + i
  })
  return { name: 'SmolLM2', tokenizerJson, tokenizerConfig: fixture('tokenizer_config.json') }
}
