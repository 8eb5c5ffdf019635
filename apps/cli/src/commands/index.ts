import type { CliCommand } from '../command.ts'
import { chat } from './chat.ts'
import { compare } from './compare.ts'
import { convert } from './convert.ts'
import { doctor } from './doctor.ts'
import { embed } from './embed.ts'
import { evaluate } from './eval.ts'
import { explain } from './explain.ts'
import { exportGguf } from './export.ts'
import { inspect } from './inspect.ts'
import { logits } from './logits.ts'
import { run } from './run.ts'
import { start } from './start.ts'
import { variants } from './variants.ts'
import { verify } from './verify.ts'

/** Every command, in the order of the help. */
export const commands: readonly CliCommand[] = [
  start,
  run,
  chat,
  inspect,
  convert,
  exportGguf,
  compare,
  evaluate,
  embed,
  logits,
  explain,
  verify,
  variants,
  doctor,
]
