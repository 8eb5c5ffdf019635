import { readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { filesBelow } from '../lib/stamp.mjs'
import { packages, root } from '../lib/workspace.mjs'

export const title = 'source files are small: median at most 150 lines, none above 300 without a reason on top'

/** @typedef {{ file: string, text: string }} Source */

const code = /\.(ts|tsx|mts|mjs|cpp|cc|c|h|hpp|wgsl|cu)$/
const generated = /\.(generated|gen)\.[a-z]+$/

/** Sources of packages, apps and internal; tests count for the upper limit but not for the median, generated files for neither. */
export function check() {
  const folders = [...packages().map(p => p.dir), join(root, 'internal'), join(root, 'docs')]
  const files = folders.flatMap(dir => filesBelow(dir, name => code.test(name) && !generated.test(name)))
  return problems(
    files
      .filter(file => !file.includes(`${sep}fixtures${sep}`))
      .map(file => ({ file: relative(root, file), text: readFileSync(file, 'utf8') })),
  )
}

/** @param {Source[]} sources */
export function problems(sources) {
  const sized = sources.map(s => ({ ...s, lines: s.text.split('\n').length - (s.text.endsWith('\n') ? 1 : 0) }))
  const own = sized
    .filter(s => !/\.test\.[a-z]+$/.test(s.file))
    .map(s => s.lines)
    .sort((a, b) => a - b)
  const median = own[own.length >> 1] ?? 0
  const found = median > 150 ? [`the median source file has ${median} lines: at most 150`] : []
  for (const { file, text, lines } of sized)
    if (lines > 300 && !reason(text)) found.push(`${file} has ${lines} lines and gives no reason ("Long because …") in its first five`)
  return found
}

/** @param {string} text */
const reason = text => text.split('\n', 5).some(line => /^\s*(\/\/|\/?\*).*\blong because\b/i.test(line))
