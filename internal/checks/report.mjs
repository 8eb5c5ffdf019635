/** @typedef {{ passed: number, failed: number, skipped: string[] }} Tally */

/**
 * Prints the names of what was skipped and then, alone on the last line, the totals.
 * @param {Tally[]} tallies
 * @param {(line: string) => void} say
 * @returns {number} the exit code: 0 only if something passed and nothing failed
 */
export function report(tallies, say = console.log) {
  const passed = tallies.reduce((sum, t) => sum + t.passed, 0)
  const failed = tallies.reduce((sum, t) => sum + t.failed, 0)
  for (const name of tallies.flatMap(t => t.skipped)) say(`skipped: ${name}`)
  say(`${passed} passed, ${failed} failed`)
  return failed === 0 && passed > 0 ? 0 : 1
}
