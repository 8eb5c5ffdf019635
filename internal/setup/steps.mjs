import { existsSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { filesBelow, stampOf } from '../lib/stamp.mjs'
import { entries, packages, root } from '../lib/workspace.mjs'
import { pnpm } from './run.mjs'

/** @typedef {{ name: string, saying: string, stamp(): string, outputs(): string[], command(): Parameters<typeof import('./run.mjs').run>[0], tells?: boolean }} Step `tells`: what its command prints is worth reading. */

const manifests = () => [
  join(root, 'package.json'),
  join(root, 'internal/package.json'),
  ...packages().map(p => join(p.dir, 'package.json')),
]
const isTest = (/** @type {string} */ name) => /\.test\.ts$/.test(name)

/** @type {Step} */
export const installStep = {
  name: 'install',
  saying: 'installing dependencies',
  stamp: () => stampOf([join(root, 'pnpm-lock.yaml'), join(root, 'pnpm-workspace.yaml'), ...manifests()], [process.version]),
  outputs: () => ['node_modules/.modules.yaml', 'node_modules/tsup'],
  command: () => {
    const command = pnpm(['install', '--frozen-lockfile', '--prefer-offline'])
    return { ...command, env: { ...command.env, CI: 'true' } } // CI: ask nothing
  },
}

/** @type {Step} */
export const buildStep = {
  name: 'build',
  saying: 'building JavaScript',
  stamp: () =>
    stampOf([
      join(root, 'pnpm-lock.yaml'),
      ...filesBelow(join(root, 'internal/build')),
      ...packages().flatMap(p => [join(p.dir, 'package.json'), ...filesBelow(join(p.dir, 'src'), name => !isTest(name))]),
    ]),
  outputs: () => packages().flatMap(p => Object.keys(entries(p)).map(name => `${p.path}/dist/${name}.js`)),
  command: () => ({ file: process.execPath, args: [join(root, 'internal/build/quick.mjs')] }),
}

const kernels = join(root, 'packages/backend-cpu')

/** Compiles the C++ kernels; that script keeps its own cache, the stamp only saves starting it. @type {Step} */
export const kernelStep = {
  name: 'kernels',
  saying: 'building CPU kernels',
  stamp: () =>
    stampOf(
      [join(root, 'pnpm-lock.yaml'), ...['build', 'native'].flatMap(dir => filesBelow(join(kernels, dir)))],
      [process.version, process.platform, process.arch, compiler()],
    ),
  outputs: () => ['packages/backend-cpu/dist/wasm'],
  command: () => ({ file: process.execPath, args: [join(kernels, 'build/build.mjs')] }),
  tells: true,
}

/** The first C++ compiler that a build could find: one that appears later must lead to a new build. */
function compiler() {
  const names = [process.env.CXX, 'c++', 'g++', 'clang++'].filter(name => name !== undefined)
  const places = names.flatMap(name => (process.env.PATH ?? '').split(delimiter).map(folder => resolve(folder, name)))
  return places.find(place => existsSync(place)) ?? 'no compiler'
}
