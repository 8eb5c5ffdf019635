import { defineConfig } from 'vitest/config'

/** One root runner: packages are read from source through their `attune-source` export condition, nothing is built first. */
export default defineConfig({
  resolve: { conditions: ['attune-source'] },
  ssr: { resolve: { conditions: ['attune-source', 'node', 'import', 'default'] } },
  test: { include: ['packages/*/{src,test}/**/*.test.ts', 'apps/*/{src,test}/**/*.test.ts', 'internal/**/*.test.ts'], testTimeout: 60_000 },
})
