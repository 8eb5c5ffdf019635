import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { main } from '../../apps/cli/src/cli.ts'
import { testIo } from '../../apps/cli/src/test-io.ts'
import manifest from '../../package.json' with { type: 'json' }
import { packages, root } from '../lib/workspace.mjs'
import { commandsElsewhere } from './elsewhere.ts'

/** Runs the commands of a shell block: the command line in this process; of installations only the names are checked. */
export async function runShell(code: string): Promise<void> {
  for (const command of commandsOf(code)) {
    const words = wordsOf(command)
    const attune = /^npm run -s attune -- /.test(command) ? words.slice(5) : undefined
    if (attune) await runAttune(attune)
    else if (/^npm install /.test(command)) checkNames(words.slice(2))
    else if (/^npx vitest run /.test(command)) expect(existsSync(join(root, words[3])), command).toBe(true)
    else {
      const other = commandsElsewhere.find(e => e.command.test(command))
      expect(other, `nothing runs '${command}'`).toBeDefined()
      expect(existsSync(join(root, other!.by)), other!.by).toBe(true)
    }
  }
}

async function runAttune(args: readonly string[]): Promise<void> {
  const io = testIo(['What is light?', '/exit'])
  const code = await main(args, io)
  expect(code, `attune ${args.join(' ')}\n${io.errors}`).toBe(0)
  expect(io.output, args.join(' ')).not.toBe('')
}

/** Packages of this repository, and those that it can use. */
function checkNames(words: readonly string[]): void {
  const known = [...packages().map(p => p.name), ...Object.keys(manifest.devDependencies)]
  for (const word of words.filter(w => !w.startsWith('-'))) expect(known).toContain(word)
}

/** Lines without comments, those that end in `\` joined with the next. */
const commandsOf = (code: string): string[] =>
  code
    .replace(/\\\n/g, ' ')
    .split('\n')
    .map(line => line.replace(/(^|\s)#.*$/, '').trim())
    .filter(line => line !== '')

const wordsOf = (command: string): string[] => [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c)
