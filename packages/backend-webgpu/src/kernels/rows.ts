import { layerNorm, rmsNorm, softmax } from '@attune/ops'
import { elements, type Kernel, type Op, type Sig } from '@attune/tensor'
import { whyUnreadable } from '../wgsl/element.ts'
import { gridOf, kernelText, paramValue, SIZE, type Uniform } from '../wgsl/text.ts'
import { address, coordinates, output, walk } from '../wgsl/walk.ts'

/** A row operation: what its threads fold over the row, and what each element becomes. `all(v)` sums, `most(v)` is the largest of a workgroup. */
interface RowOp<A> {
  /** Statements over `lane` and the row; they leave what `value` needs. */
  folds(attrs: A): string
  readonly value: string
}

/** Folds a number of each thread into one, in a fixed order. */
const fold = (name: string, by: string) => `fn ${name}(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  folded[lane] = value;
  workgroupBarrier();
  for (var half = ${SIZE / 2}u; half > 0u; half >>= 1u) {
    if (lane < half) { folded[lane] = ${by}; }
    workgroupBarrier();
  }
  return folded[0];
}
`
const FOLDS = `var<workgroup> folded: array<f32, ${SIZE}>;
${fold('all', 'folded[lane] + folded[lane + half]')}${fold('most', 'max(folded[lane], folded[lane + half])')}`

const each = (text: string) => `for (var i = lane; i < u.n; i += ${SIZE}u) { ${text} }`

/** A workgroup per row of the last axis. */
function rowKernel<A>(op: Op<A>, { folds, value }: RowOp<A>): Kernel<A> {
  return {
    name: op.name,
    op,
    why: ({ inputs }) => inputs.map(t => whyUnreadable(t.dtype)).find(Boolean),
    cost: ({ outputs }) => elements(outputs[0].shape),
    plan({ inputs, outputs: [out], attrs }: Sig<A>) {
      const lead = out.shape.slice(0, -1)
      const [x, ...vectors] = inputs
      const { count, coordinates: decompose, uniforms: ends, inside } = walk(lead)
      const uniforms: Uniform[] = [
        { name: 'n', type: 'u32', value: out.shape.at(-1)! },
        { name: 'rows', type: 'u32', value: count },
        { name: 'eps', type: 'f32', value: { f32: (attrs as { eps?: number } | null)?.eps ?? 0 } },
        ...ends,
      ]
      const names = ['weight', 'bias']
      const element = (i: string) => `x(start + ${i} * ${x.strides.at(-1)}u)`
      const reads = vectors.map((v, i) => `let ${names[i]}_i = ${names[i]}(i * ${v.strides[0]}u);`)
      const absent = names.slice(vectors.length).map(name => `let ${name}_i = 0.0f;`)
      return {
        launches: [
          {
            text: kernelText({
              operands: [output('f32'), { name: 'x', dtype: x.dtype }, ...vectors.map((v, i) => ({ name: names[i], dtype: v.dtype }))],
              uniforms,
              functions: FOLDS,
              main: `let at = group;
if (at >= u.rows) { return; }
${decompose}${inside ? `if (!(${inside})) { return; }\n` : ''}let start = ${address(x.strides.slice(0, -1), coordinates(lead.length))};
${folds(attrs).replaceAll('x_i', element('i'))}
${each(`let x_i = ${element('i')}; ${[...reads, ...absent].join(' ')} put_out(at * ${elements(out.shape.slice(-1))}u + i, ${value});`)}`,
            }),
            bind: [{ output: 0 }, ...inputs.map((_, i) => ({ input: i }))],
            params: uniforms.map(p => p.value),
            grid: gridOf(n => paramValue(count, n)),
          },
        ],
      }
    },
  }
}

export const rmsNormKernel = rowKernel(rmsNorm, {
  folds: () => `var squares = 0.0f;
${each('let x = x_i; squares += x * x;')}
let factor = inverseSqrt(all(lane, squares) / f32(u.n) + u.eps);`,
  value: 'x_i * factor * weight_i',
})

export const layerNormKernel = rowKernel(layerNorm, {
  folds: () => `var sum = 0.0f;
${each('sum += x_i;')}
let mean = all(lane, sum) / f32(u.n);
var squares = 0.0f;
${each('let d = x_i - mean; squares += d * d;')}
let factor = inverseSqrt(all(lane, squares) / f32(u.n) + u.eps);`,
  value: '(x_i - mean) * factor * weight_i + bias_i',
})

export const softmaxKernel = rowKernel(softmax, {
  folds: () => `var largest = -3.4e38f;
${each('largest = max(largest, x_i);')}
let top = most(lane, largest);
var sum = 0.0f;
${each('sum += exp(x_i - top);')}
let total = max(all(lane, sum), 1e-30f);`,
  value: 'exp(x_i - top) / total',
})
