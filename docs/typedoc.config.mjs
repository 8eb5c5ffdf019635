import { Converter } from 'typedoc'
import { entries, packages, root } from '../internal/lib/workspace.mjs'

const documented = packages().filter(p => p.path.startsWith('packages/'))
const modules = documented.flatMap(p =>
  Object.entries(entries(p)).map(([name, source]) => ({
    file: `${p.path}/${source.slice(2)}`,
    name: name === 'index' ? p.name : `${p.name}/${name}`,
  })),
)

/** Modules are called as they are imported. @param {import('typedoc').Application} app */
function importNames(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, context => {
    for (const child of context.project.children ?? []) {
      const found = modules.find(m => m.file.replace(/(\/index)?\.ts$/, '') === child.name)
      if (found) child.name = found.name
    }
  })
}

/** The API site: every published entry point, from source. */
export default {
  name: 'attune',
  basePath: root,
  displayBasePath: root,
  entryPoints: modules.map(m => `../${m.file}`),
  entryPointStrategy: 'resolve',
  tsconfig: '../tsconfig.json',
  out: 'api',
  readme: '../README.md',
  includeVersion: true,
  githubPages: false,
  excludeInternal: true,
  treatWarningsAsErrors: true,
  skipErrorChecking: true, // `pnpm types` reports those
  disableSources: true, // a clone without a remote has nothing to link to
  plugin: [importNames],
}
