import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from '../lib/workspace.mjs'

/**
 * Runs the built command line in this very process, so that its exit code, its signals, its terminal and its memory are its own.
 * @param {string[]} args
 */
export async function launch(args) {
  const main = join(root, 'apps/cli/dist/main.js')
  if (!existsSync(main)) {
    console.error('attune: apps/cli/dist/main.js was not built: run `npm run setup` and read what it says.')
    process.exit(1)
  }
  if (process.env.npm_lifecycle_event) endWithShell()
  process.argv = [process.argv[0], main, ...args]
  await import(pathToFileURL(main).href)
}

/** npm signals only the shell between it and us, and that shell dies without passing the signal on. */
function endWithShell() {
  const shell = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === shell) return
    clearInterval(timer)
    process.kill(process.pid, 'SIGTERM')
  }, 200)
  timer.unref()
}
