import { isBuiltin } from 'node:module'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { importsOf, packageOf } from '../lib/imports.mjs'
import { filesBelow } from '../lib/stamp.mjs'
import { packages, root } from '../lib/workspace.mjs'
import { allowed, bare, fits } from './ladder-rule.mjs'

export const title = 'imports and dependencies follow the ladder'

/** @typedef {{ file: string, from: string, typeOnly: boolean, line: number }} Use */
/** @typedef {{ name: string, dependencies: string[], development: string[], uses: Use[] }} Node one package as the rule sees it */

export const check = () => problems(packages().map(read))

/**
 * @param {Node[]} nodes
 * @returns {string[]}
 */
export const problems = nodes => [...nodes.flatMap(node => [...ofManifest(node), ...ofSource(node)]), ...cycles(nodes)]

/** @param {import('../lib/workspace.mjs').Package} p @returns {Node} */
function read(p) {
  const {
    dependencies = {},
    peerDependencies = {},
    peerDependenciesMeta = {},
    optionalDependencies = {},
    devDependencies = {},
  } = p.manifest
  const uses = filesBelow(join(p.dir, 'src'), name => /\.tsx?$/.test(name) && !/\.test\.tsx?$/.test(name)).flatMap(file =>
    importsOf(file).map(use => ({ ...use, file: relative(root, file).replaceAll(sep, '/'), from: escapes(p.dir, file, use.from) })),
  )
  // An optional peer is nobody's dependency: the package works without it, and no import may name it.
  const runtime = Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies }).filter(
    other => !peerDependenciesMeta[other]?.optional,
  )
  return { name: p.name, dependencies: runtime, development: Object.keys(devDependencies), uses }
}

/** A relative import that leaves its package keeps a marker that no dependency can match. @param {string} dir @param {string} file @param {string} from */
function escapes(dir, file, from) {
  if (!from.startsWith('.')) return from
  return resolve(dirname(file), from).startsWith(dir + sep) ? '.' : `(outside) ${from}`
}

const short = (/** @type {string} */ name) => name.replace(/^@attune\//, '')
const ours = (/** @type {string} */ name) => name.startsWith('@attune/') || name === 'attune'

/** @param {Node} node @returns {string[]} */
function ofManifest({ name, dependencies, development }) {
  const may = allowed(short(name))
  if (!may) return [`${name} has no place on the ladder: add it to internal/checks/ladder-rule.mjs`]
  const found = []
  for (const other of dependencies) {
    if (other === '@attune/testing') continue
    if (ours(other) && !fits(may, short(other))) found.push(`${name} depends on ${other}, which is not below it`)
    if (!ours(other) && fits(bare, short(name))) found.push(`${name} depends on ${other}: core packages have no runtime dependency`)
  }
  if ([...dependencies, ...development].includes('@attune/testing'))
    found.push(`${name} lists @attune/testing: tests take it from the root package.json`)
  return found
}

/** @param {Node} node @returns {string[]} */
function ofSource({ name, dependencies, uses }) {
  const may = allowed(short(name))
  if (!may) return []
  return uses.flatMap(({ file, from, line }) => {
    const at = `${file}:${line}`
    if (from === '.' || isBuiltin(from)) return []
    if (from.startsWith('(outside)')) return [`${at} reaches out of its package: ${from.slice(10)}`]
    const other = packageOf(from)
    if (other === name) return [`${at} imports its own package by name`]
    if (ours(other) && !fits(may, short(other))) return [`${at} imports ${from}, which is not below ${name}`]
    if (!dependencies.includes(other)) return [`${at} imports ${from}, which ${name} does not list in its dependencies`]
    return []
  })
}

/** @param {Node[]} nodes @returns {string[]} */
function cycles(nodes) {
  const edges = new Map(nodes.map(n => [n.name, new Set([...n.dependencies, ...n.uses.map(u => packageOf(u.from))])]))
  const done = new Set()
  /** @param {string} name @param {string[]} path @returns {string[]} */
  const walk = (name, path) => {
    if (path.includes(name)) return [`the packages form a cycle: ${[...path.slice(path.indexOf(name)), name].join(' → ')}`]
    if (done.has(name) || !edges.has(name)) return []
    const found = [...(edges.get(name) ?? [])].filter(next => next !== name).flatMap(next => walk(next, [...path, name]))
    done.add(name)
    return found
  }
  return nodes.flatMap(n => walk(n.name, []))
}
