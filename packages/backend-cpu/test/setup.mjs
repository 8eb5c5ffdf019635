import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Before the first test of this package: kernels that are up to date. */
export default async function setup() {
  await promisify(execFile)(process.execPath, [fileURLToPath(new URL('../build/build.mjs', import.meta.url))])
}
