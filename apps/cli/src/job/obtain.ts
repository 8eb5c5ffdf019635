import { AttuneError } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import { asset } from '../assets.ts'
import { type Context, DEFAULT_MODEL } from '../context.ts'

/** The model asked for; without one the default from wherever it can be had, and the toy in the repository where it cannot. */
export async function obtain(context: Context, ref?: string): Promise<{ checkpoint: Checkpoint; toy: boolean }> {
  if (ref !== undefined) return { checkpoint: await context.open(ref), toy: false }
  try {
    return { checkpoint: await context.open(DEFAULT_MODEL), toy: false }
  } catch (error) {
    if (!(error instanceof AttuneError) || error.code === 'ERR_ABORTED') throw error
    context.progress.note(
      `${DEFAULT_MODEL} could not be had, so a TOY stands in: a tiny model trained for seconds on a few pages of Newton.`,
    )
    context.progress.note('Its numbers show that everything runs, not what conversion costs a real model.')
    return { checkpoint: await context.open(asset('toy')), toy: true }
  }
}
