// Cross-compiles the addon for every platform and lays a package around each, ready to be packed:
// `node build/prebuilt.mjs [--target=linux-x64-gnu,…] [--out=.cache/prebuilt]`. What is up to date is left alone.
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cache, closure, hashOf, isFresh, objectFolder, put, readSources, root, sources } from './files.mjs'
import { common, headers, isas, unitsOf } from './flags.mjs'
import { nameOf, packageOf, targets } from './targets.mjs'
import { findZig } from './zig.mjs'

/** @typedef {import('./targets.mjs').Target} Target @typedef {Awaited<ReturnType<typeof findZig>>} Zig */

/**
 * @param {{ only?: string[], out?: string, say?: (line: string) => void }} options
 * @returns {Promise<string[]>} the packages' folders
 */
export async function buildPrebuilt({ only, out = join(cache, 'prebuilt'), say = () => {} } = {}) {
  const unknown = only?.filter(name => !targets.some(t => nameOf(t) === name)) ?? []
  if (unknown.length > 0) throw new Error(`no target is called ${unknown.join(', ')}; there are ${targets.map(nameOf).join(', ')}`)
  const zig = await findZig()
  const folders = []
  for (const target of targets) {
    if (only && !only.includes(nameOf(target))) continue
    const begin = performance.now()
    const addon = await compile(zig, target)
    folders.push(layPackage(target, addon, out))
    const kilobytes = Math.round(readFileSync(addon).length / 1024)
    say(`${nameOf(target)}: ${isas[target.cpu].join(' ')}, ${kilobytes} KiB, ${((performance.now() - begin) / 1000).toFixed(1)} s`)
  }
  return folders
}

/** The addon of one target. @param {Zig} zig @param {Target} target */
async function compile(zig, target) {
  const files = readSources()
  const units = unitsOf(isas[target.cpu]).map(unit => {
    const triple = unit.source === 'kernels.cpp' ? (target.kernels ?? target.triple) : target.triple
    const args = ['c++', '-target', triple, ...common, '-nostdlib++', ...unit.flags]
    return { args, source: unit.source, stamp: hashOf([zig.version, triple, ...common, ...unit.flags, ...closure(files, unit.source)]) }
  })
  const path = join(cache, 'zig', `${nameOf(target)}.node`)
  const stamp = hashOf([target.triple, ...target.link, ...units.map(u => u.stamp)])
  if (isFresh(path, stamp)) return path
  mkdirSync(objectFolder, { recursive: true })
  const waiting = [...units]
  const worker = async () => {
    for (let unit = waiting.shift(); unit; unit = waiting.shift()) {
      const object = join(objectFolder, `${unit.stamp}.o`)
      if (existsSync(object)) continue
      await zig.run([...unit.args, '-c', join(sources, unit.source), '-o', `${object}.${process.pid}.o`])
      put(object, readFileSync(`${object}.${process.pid}.o`), unit.stamp)
      rmSync(`${object}.${process.pid}.o`)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  const objects = units.map(u => join(objectFolder, `${u.stamp}.o`))
  const host = target.os === 'win32' ? [await importLibrary(zig, target)] : []
  const linked = `${path}.${process.pid}.linked`
  await zig.run(['cc', '-target', target.triple, '-shared', '-s', ...target.link, '-o', linked, ...objects, ...host])
  put(path, readFileSync(linked), stamp)
  rmSync(linked)
  return path
}

/** Windows: what an addon takes from node.exe, from the list that Node publishes. @param {Zig} zig @param {Target} target */
async function importLibrary(zig, { cpu }) {
  const path = join(cache, 'zig', `node-${cpu}`)
  const lists = ['js_native_api', 'node_api'].map(name => readFileSync(join(headers, 'def', `${name}.def`), 'utf8'))
  const symbols = lists.flatMap(list => list.split(/\r?\n/).filter(line => /^napi_|^node_api_/.test(line)))
  writeFileSync(`${path}.def`, ['LIBRARY node.exe', 'EXPORTS', ...symbols, ''].join('\n'))
  await zig.run(['dlltool', '-m', cpu === 'x64' ? 'i386:x86-64' : 'arm64', '-D', 'node.exe', '-d', `${path}.def`, '-l', `${path}.lib`])
  return `${path}.lib`
}

/**
 * A package that holds one addon and nothing that runs, in the version of this one.
 * @param {Target} target @param {string} addon @param {string} out
 */
export function layPackage(target, addon, out) {
  const { version, license, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const folder = join(resolve(out), nameOf(target))
  const on = `${target.os} ${target.cpu}${target.libc ? ` with ${target.libc}` : ''}`
  const { os, cpu, libc } = target
  const manifest = {
    name: packageOf(target),
    version,
    description: `The CPU kernels of attune, prebuilt for ${on}.`,
    license,
    main: 'attune.node',
    files: ['attune.node'],
    os: [os],
    cpu: [cpu],
    ...(libc ? { libc: [libc] } : {}),
    engines,
    publishConfig: { access: 'public' },
  }
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  const readme = `# ${manifest.name}\n\n${manifest.description} \`@attune/backend-cpu\` installs it where it fits; without it WebAssembly is used.\n`
  writeFileSync(join(folder, 'README.md'), readme)
  copyFileSync(join(root, '../../LICENSE'), join(folder, 'LICENSE'))
  copyFileSync(addon, join(folder, 'attune.node'))
  return folder
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { target: { type: 'string' }, out: { type: 'string' } } })
  await buildPrebuilt({ only: values.target?.split(','), out: values.out, say: line => console.log(line) })
}
