import { entries } from '../lib/workspace.mjs'

/**
 * How every package is built: ES modules with shared chunks, nothing of another package inside. Types only on request (they take a
 * hundred times longer than the JavaScript); they read the built types of the packages below, which turbo builds first.
 * @param {import('../lib/workspace.mjs').Package} p
 * @param {{ types: boolean }} want
 * @returns {import('tsup').Options}
 */
export function options(p, { types }) {
  const all = entries(p)
  const typed = Object.fromEntries(Object.entries(all).filter(([name]) => exportsEntry(p, name)))
  return {
    config: false,
    entry: all,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    splitting: true,
    sourcemap: true,
    clean: false, // the kernel build writes beside
    silent: true,
    esbuildOptions: o => {
      o.absWorkingDir = p.dir
    }, // esbuild remembers the folder it was loaded in
    removeNodeProtocol: false,
    external: [/^[^./]/],
    tsconfig: 'tsconfig.json',
    dts: types && Object.keys(typed).length > 0 ? { entry: typed, compilerOptions: { customConditions: [] } } : false,
  }
}

/** @param {import('../lib/workspace.mjs').Package} p @param {string} name */
const exportsEntry = (p, name) => Object.values(p.manifest.exports ?? {}).some(target => target?.types === `./dist/${name}.d.ts`)
