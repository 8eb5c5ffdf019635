import { AttuneError } from '@attune/tensor'
import { Command, CommanderError, Option } from 'commander'
import { commands } from './commands/index.ts'
import { Context, DEVICES, type GlobalOptions } from './context.ts'
import type { Io } from './io.ts'
import { positive } from './numbers.ts'

/** Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  try {
    await programOf(io).parseAsync([...argv], { from: 'user' })
  } catch (error) {
    return report(error, io)
  }
  return 0
}

/** Every command with its arguments and options. */
export function programOf(io: Io): Command {
  const program = new Command('attune').description(
    'Load any Hugging Face checkpoint, swap or convert its attention, run it, and see what the change cost and saved.',
  )
  program
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .showHelpAfterError('(add --help for the options)')
    .helpCommand(true)
  program.addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.')
  for (const c of commands) {
    const sub = c
      .define(program.command(c.name).description(c.summary))
      .exitOverride()
      .configureOutput({ writeOut: io.out, writeErr: io.err })
    addGlobals(sub)
    sub.action(async (...given: unknown[]) => {
      const options = given[given.length - 2] as Record<string, unknown>
      const context = new Context(io, options as unknown as GlobalOptions)
      try {
        await c.run(context, given.slice(0, -2) as (string | undefined)[], options)
      } finally {
        await context.close()
      }
    })
  }
  return program
}

function addGlobals(command: Command): void {
  command
    .addOption(new Option('--device <name>', 'where to run').choices(DEVICES).default('cpu'))
    .option('--threads <n>', 'threads to use', positive)
    .addOption(
      new Option('--weights <kind>', 'keep packed and half weights, or decode all to f32')
        .choices(['as-stored', 'f32'])
        .default('as-stored'),
    )
    .option('--allow-unknown', 'name config keys and tensors that the model type does not know, and go on without them', false)
    .option('--json', 'print one JSON object', false)
    .option('--quiet', 'no progress', false)
    .option('--no-color', 'no colours on a terminal')
}

function report(error: unknown, io: Io): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (io.signal.aborted || (error instanceof AttuneError && error.code === 'ERR_ABORTED')) {
    io.err('interrupted\n')
    return 130
  }
  if (error instanceof AttuneError) {
    io.err(`error[${error.code}]: ${error.message}\n`)
    return error.code === 'ERR_ARGUMENT' ? 2 : 1
  }
  // A file that is not there, or may not be read or written: the system's own sentence says which.
  if (typeof (error as NodeJS.ErrnoException)?.syscall === 'string') {
    io.err(`error[${(error as NodeJS.ErrnoException).code}]: ${(error as Error).message}\n`)
    return 1
  }
  io.err(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  return 1
}
