import { defineConfig } from 'vitest/config'

/** The check `outside` runs this; the suite of the repository does not. */
export default defineConfig({
  test: { root: import.meta.dirname, include: ['*.packed.ts'], testTimeout: 300_000, hookTimeout: 300_000 },
})
