import { run, turbo } from '../setup/run.mjs'

/**
 * A check that is one cached turbo task.
 * @param {string} title
 * @param {string} task
 * @param {RegExp} [unwanted] lines that count as problems although the task succeeds
 * @returns {import('./run.mjs').Check}
 */
export const task = (title, task, unwanted) => ({
  title,
  async check() {
    const { code, output } = await run(turbo([task]))
    if (code !== 0) return [output]
    return unwanted ? output.split('\n').filter(line => unwanted.test(line)) : []
  },
})
