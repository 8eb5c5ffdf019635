import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

/** Reads one of the files PyTorch's numbers are in. @param {'golden.json.gz' | 'perplexity.json.gz' | 'tokenizer_cases.json'} name */
export function oracle(name) {
  const bytes = readFileSync(new URL(`oracles/${name}`, import.meta.url))
  return JSON.parse((name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8'))
}
