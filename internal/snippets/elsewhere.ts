/** Snippets that are not run by the test beside this file, and what runs them instead. A block begins with `start`. */
export const elsewhere: readonly { readonly page: string; readonly start: string; readonly by: string; readonly why: string }[] = [
  { page: 'packages/backend-cpu/README.md', start: '// vite.config.js', by: 'internal/browser/bundle.ts', why: 'needs Chromium' },
  { page: 'packages/backend-cpu/README.md', start: '// build.mjs', by: 'internal/browser/bundle.ts', why: 'needs Chromium' },
]

/** Commands of shell blocks that are not run by it. */
export const commandsElsewhere: readonly { readonly command: RegExp; readonly by: string; readonly why: string }[] = [
  { command: /^npm test$/, by: '.ci/run', why: 'runs this test' },
  {
    command: /^npm start$/,
    by: 'internal/setup/start.mjs',
    why: 'takes minutes; what CI and a person call, and the job has tests of its own',
  },
]
