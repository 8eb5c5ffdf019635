// node node.mjs native|wasm FOLDER
import { openModel } from '@attune/weights/node'
import { answer } from './answer.mjs'

const [backend, folder] = /** @type {['native' | 'wasm', string]} */ (process.argv.slice(2))
console.log(JSON.stringify(await answer(folder, { open: openModel, cpu: { backend, threads: 2 } })))
