// Lets llama.cpp open GGUF files that attune wrote of SmolLM2-135M-Instruct, and compares its tokens and its greedy continuation with PyTorch's.
// By hand: attune export HuggingFaceTB/SmolLM2-135M-Instruct --type f16 --out smol.gguf
//          npm install --prefix /tmp/llama-cpp node-llama-cpp
//          node internal/large/llama-cpp.mjs --llama /tmp/llama-cpp smol.gguf
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { gunzipSync } from 'node:zlib'

const { values, positionals } = parseArgs({ options: { llama: { type: 'string', default: '.' } }, allowPositionals: true })
const { getLlama } = await import(pathToFileURL(join(resolve(values.llama), 'node_modules/node-llama-cpp/dist/index.js')).href)
const golden = JSON.parse(gunzipSync(readFileSync(new URL('../smollm2/oracles/golden.json.gz', import.meta.url))).toString())
const llama = await getLlama({ build: 'never', gpu: false, maxThreads: 2, logLevel: 'error' })

for (const path of positionals) {
  const model = await llama.loadModel({ modelPath: path })
  for (const name of ['short', 'chat']) {
    const { text, input_ids, greedy_ids } = golden.prompts[name]
    const same = JSON.stringify(model.tokenize(text, true)) === JSON.stringify(input_ids)
    const context = await model.createContext({ contextSize: 512, threads: 2 })
    const ids = []
    for await (const id of context.getSequence().evaluate(input_ids, { temperature: 0, yieldEogToken: true })) {
      ids.push(id)
      if (ids.length === greedy_ids.length) break
    }
    const differs = ids.findIndex((id, i) => id !== greedy_ids[i])
    console.log(
      `${path} ${name}: tokens ${same ? 'equal' : 'DIFFER'}; greedy ${differs < 0 ? `equal for ${ids.length}` : `differs at ${differs}`}`,
    )
    await context.dispose()
  }
  await model.dispose()
}
process.exit(0)
