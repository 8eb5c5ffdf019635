import { join } from 'node:path'
import ts from 'typescript'
import { root } from '../lib/workspace.mjs'

/** What TypeScript says of files, read with this repository's own settings. */
export function typeErrors(files: readonly string[]): string[] {
  const base = ts.readConfigFile(join(root, 'tsconfig.base.json'), ts.sys.readFile).config
  const { options } = ts.parseJsonConfigFileContent(base, ts.sys, root)
  const program = ts.createProgram({ rootNames: [...files, join(root, 'internal/snippets/globals.d.ts')], options })
  const sources = files.map(file => program.getSourceFile(file)!)
  const found = sources.flatMap(source => [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)])
  return found.map(d => {
    const at = d.file && d.start !== undefined ? d.file.getLineAndCharacterOfPosition(d.start) : undefined
    const line = at && d.file!.text.split('\n')[at.line]
    return `${d.file?.fileName}: ${ts.flattenDiagnosticMessageText(d.messageText, '\n')}\n  ${line}`
  })
}
