import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { asset } from '../src/assets.ts'
import { main } from '../src/cli.ts'
import { testIo } from '../src/test-io.ts'

export const toy = asset('toy')

/** Runs the command line in this process. */
export async function attune(args: readonly string[], { lines, signal }: { lines?: string[]; signal?: AbortSignal } = {}) {
  const io = testIo(lines, signal)
  const code = await main(args, io)
  return {
    code,
    output: io.output,
    errors: io.errors,
    get json() {
      return JSON.parse(io.output)
    },
  }
}

/** A folder that is gone after the test. */
export async function scratch(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'attune-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** The toy with a chat template. */
export async function chatToy(): Promise<string> {
  const dir = join(await scratch(), 'chat')
  await cp(toy, dir, { recursive: true })
  await writeFile(
    join(dir, 'chat_template.jinja'),
    '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}',
  )
  return dir
}
