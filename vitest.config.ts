import { existsSync, readdirSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const conditions = ['attune-source', 'node', 'import', 'default']
const inside = (group: string) => (existsSync(group) ? readdirSync(group).map(name => `${group}/${name}`) : [])

/** A project per package; packages are read from source through their `attune-source` export condition, nothing is built first. */
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    projects: [...inside('packages'), ...inside('apps'), 'internal'].map(dir => ({
      resolve: { conditions },
      ssr: { resolve: { conditions } },
      test: {
        name: dir.replace(/^.*\//, ''),
        include: [`${dir}/**/*.test.ts`],
        exclude: ['**/node_modules/**', '**/dist/**', 'internal/third-party/**'],
        testTimeout: 60_000,
      },
    })),
  },
})
