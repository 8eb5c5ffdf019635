"""PyTorch on the CPU: GEMM and scaled_dot_product_attention with enable_gqa. Reads and answers lines of JSON, as contender.mjs does."""
import json
import sys
import time

import torch

torch.set_grad_enabled(False)
run = None


def opened(task, threads, params):
    torch.set_num_threads(threads)
    if task == "gemm":
        a, b = torch.randn(params["m"], params["k"]), torch.randn(params["k"], params["n"])
        out = torch.empty(params["m"], params["n"])
        return lambda: torch.mm(a, b, out=out)
    heads, kv, d, t = (params[x] for x in ("heads", "kvHeads", "headDim", "t"))
    q, k, v = torch.randn(1, heads, t, d), torch.randn(1, kv, t, d), torch.randn(1, kv, t, d)
    return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


for line in sys.stdin:
    try:
        if run is None:
            run = opened(**json.loads(line))
            print(json.dumps({"ready": f"torch {torch.__version__}"}), flush=True)
            continue
        times, start = 0, time.perf_counter()
        while times == 0 or time.perf_counter() - start < 0.2:
            run()
            times += 1
        print(json.dumps({"ms": (time.perf_counter() - start) * 1000 / times}), flush=True)
    except Exception as error:
        print(json.dumps({"error": str(error)}), flush=True)
