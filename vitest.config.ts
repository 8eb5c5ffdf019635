import { existsSync, readdirSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const conditions = ['attune-source', 'node', 'import', 'default']
const inside = (group: string) => (existsSync(group) ? readdirSync(group).map(name => `${group}/${name}`) : [])
const apart = ['**/node_modules/**', '**/dist/**', 'internal/third-party/**']
const alone = '**/*.alone.test.ts'
const folders = [...inside('packages'), ...inside('apps'), 'internal']
const setup = (dir: string) => [`${dir}/test/setup.mjs`].filter(path => existsSync(path))

/**
 * A project per package; packages are read from source through their `attune-source` export condition, nothing is built first.
 * Tests that measure time (`*.alone.test.ts`) run after all others, one file at a time. A package's `test/setup.mjs` runs before its tests.
 */
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      ...folders.map(dir =>
        project(dir.replace(/^.*\//, ''), { include: [`${dir}/**/*.test.ts`], exclude: [...apart, alone], globalSetup: setup(dir) }),
      ),
      project('alone', {
        include: [alone],
        exclude: apart,
        globalSetup: folders.flatMap(setup),
        maxWorkers: 1,
        sequence: { groupOrder: 1 },
      }),
    ],
  },
})

function project(name: string, test: object) {
  return { resolve: { conditions }, ssr: { resolve: { conditions } }, test: { name, testTimeout: 60_000, ...test } }
}
