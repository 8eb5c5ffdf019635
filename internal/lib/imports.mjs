import { readFileSync } from 'node:fs'
import ts from 'typescript'

/** @typedef {{ from: string, typeOnly: boolean, line: number }} Import */

/**
 * Every module that a TypeScript file names: import and export declarations, dynamic imports, import types.
 * @param {string} file
 * @param {string} [text]
 * @returns {Import[]}
 */
export function importsOf(file, text = readFileSync(file, 'utf8')) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, false)
  /** @type {Import[]} */
  const found = []
  /** @param {ts.Node | undefined} specifier @param {boolean} typeOnly */
  const add = (specifier, typeOnly) => {
    if (!specifier || !ts.isStringLiteralLike(specifier)) return
    found.push({ from: specifier.text, typeOnly, line: source.getLineAndCharacterOfPosition(specifier.pos).line + 1 })
  }
  /** @param {ts.Node} node */
  const visit = node => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, onlyTypes(node.importClause))
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly)
    else if (ts.isImportTypeNode(node)) add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0], false)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/** @param {ts.ImportClause | undefined} clause */
function onlyTypes(clause) {
  if (!clause) return false
  if (clause.isTypeOnly) return true
  const names = clause.namedBindings
  return !clause.name && !!names && ts.isNamedImports(names) && names.elements.length > 0 && names.elements.every(e => e.isTypeOnly)
}

/** `@attune/tensor/x` → `@attune/tensor`, `left/pad` → `left`. @param {string} specifier */
export const packageOf = specifier => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
