import { AttuneError, type Expr } from '@attune/expr'
import { gelu, geluTanh, relu, silu } from '@attune/ops'

/** Activations by the names `hidden_act` uses in config.json. */
export const activations: Readonly<Record<string, (x: Expr) => Expr>> = {
  silu,
  swish: silu,
  gelu,
  gelu_python: gelu,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_accurate: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_python_tanh: geluTanh,
  quick_gelu: x => x.mul(x.mul(1.702).sigmoid()),
  tanh: x => x.tanh(),
  relu,
  relu2: x => relu(x).mul(relu(x)),
}
export function activation(name: string): (x: Expr) => Expr {
  const f = activations[name]
  if (!f)
    throw new AttuneError('ERR_UNSUPPORTED', `hidden_act '${name}' is not one of ${Object.keys(activations).join(', ')}`, {
      hidden_act: name,
    })
  return f
}
