/** Bytes of an ONNX model whose graph is out = a · b. @param {number} m @param {number} n @param {number} k */
export function matmulModel(m, n, k) {
  const node = message([1, 'a'], [1, 'b'], [2, 'out'], [4, 'MatMul'])
  const graph = message([1, node], [2, 'g'], [11, value('a', [m, k])], [11, value('b', [k, n])], [12, value('out', [m, n])])
  return message([1, 8], [7, graph], [8, message([2, 13])])
}

/** ValueInfo of an f32 tensor. @param {string} name @param {number[]} shape */
function value(name, shape) {
  const dims = message(.../** @type {[number, Uint8Array][]} */ (shape.map(d => [1, message([1, d])])))
  return message([1, name], [2, message([1, message([1, 1], [2, dims])])])
}

/** Protobuf: numbers are varints, text and bytes are measured. @param {...[number, number | string | Uint8Array]} fields */
function message(...fields) {
  /** @type {number[]} */
  const out = []
  const varint = (/** @type {number} */ x) => {
    for (; x > 127; x = Math.floor(x / 128)) out.push((x % 128) | 128)
    out.push(x)
  }
  for (const [field, content] of fields) {
    if (typeof content === 'number') {
      varint(field * 8)
      varint(content)
      continue
    }
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
    varint(field * 8 + 2)
    varint(bytes.length)
    out.push(...bytes)
  }
  return Uint8Array.from(out)
}
