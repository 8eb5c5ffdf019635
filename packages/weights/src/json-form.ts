/**
 * JSON of a value with its numbers in the form that they have at the same place of an earlier text: what was 1.0 does not become 1, which
 * strict readers tell apart, and what Python wrote as NaN or Infinity stays so.
 */
export function inFormOf(value: unknown, text: string): string {
  const forms = numbersOf(text)
  const print = (x: unknown, path: string, indent: string): string => {
    if (typeof x === 'number' || x === null) return numberLike(x, forms.get(path))
    if (typeof x !== 'object') return JSON.stringify(x) ?? 'null'
    const inner = `${indent}  `
    const items = Array.isArray(x)
      ? x.map((item, i) => print(item, `${path}/${i}`, inner))
      : Object.entries(x as object)
          .filter(([, item]) => item !== undefined)
          .map(([key, item]) => `${JSON.stringify(key)}: ${print(item, `${path}/${key}`, inner)}`)
    const [open, close] = Array.isArray(x) ? '[]' : '{}'
    return items.length === 0 ? open + close : `${open}\n${inner}${items.join(`,\n${inner}`)}\n${indent}${close}`
  }
  return `${print(value, '', '')}\n`
}

function numberLike(x: number | null, form: string | undefined): string {
  if (x === null) return form === 'NaN' ? form : 'null'
  if (form !== undefined && (Number(form) === x || Object.is(Number(form), x))) return form
  if (!Number.isFinite(x)) return x > 0 ? 'Infinity' : x < 0 ? '-Infinity' : 'NaN'
  const plain = JSON.stringify(x)
  return form !== undefined && /[.eE]/.test(form) && Number.isInteger(x) && !/[.e]/.test(plain) ? `${plain}.0` : plain
}

const TOKEN = /\s*("(?:[^"\\]|\\.)*"|-?(?:Infinity|NaN)|[-+.\deE]+|true|false|null|[[\]{},:])/y

/** Every number of a valid JSON text as it is written, by its path of keys and places. */
function numbersOf(text: string): Map<string, string> {
  const numbers = new Map<string, string>()
  const open: { path: string; list: boolean; at: number; key?: string }[] = []
  const here = () => {
    const last = open[open.length - 1]
    return last ? `${last.path}/${last.list ? last.at : last.key}` : ''
  }
  TOKEN.lastIndex = 0
  for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
    const [, token] = match
    const last = open[open.length - 1]
    if (token === '{' || token === '[') open.push({ path: here(), list: token === '[', at: 0 })
    else if (token === '}' || token === ']') open.pop()
    else if (token === ',') {
      if (last.list) last.at++
      else last.key = undefined
    } else if (token === ':') continue
    else if (last && !last.list && last.key === undefined) last.key = JSON.parse(token)
    else if (/^[-\dNI]/.test(token)) numbers.set(here(), token)
  }
  return numbers
}
