"""Writes oracles/lapack.json with numpy / scipy (LAPACK). By hand: python oracles/make.py

Inputs are formulas of integers (see `entries`), the same in test/helpers.ts, so only results are stored.
"""
import json
import pathlib

import numpy as np
import scipy.linalg as sl
from scipy.optimize import linear_sum_assignment


def entries(m, n, seed):
    i, j = np.meshgrid(np.arange(m), np.arange(n), indexing='ij')
    return ((i * 73 + j * 179 + seed * 283 + i * j * 31 + i * i * 17 + j * j * 7 + i * j * j * 5) % 1009) / 1009 - 0.5


def symmetric(n, seed):
    a = entries(n, n, seed)
    return a + a.T


def hermitian(n, seed):
    a = entries(n, n, seed) + 1j * entries(n, n, seed + 1)
    return a + a.conj().T


def hilbert(m, n):
    i, j = np.meshgrid(np.arange(m), np.arange(n), indexing='ij')
    return 1 / (i + j + 1)


def glued(copies, half, glue):
    n = copies * (2 * half + 1)
    d = np.abs(np.arange(n) % (2 * half + 1) - half).astype(float)
    e = np.where(np.arange(1, n) % (2 * half + 1) == 0, glue, 1.0)
    return np.diag(d) + np.diag(e, 1) + np.diag(e, -1)


def graded(n):
    g = 2.0 ** (-3 * np.arange(n))
    a = symmetric(n, 3) + 4 * np.eye(n)
    return a * g[:, None] * g[None, :]


def low_rank(m, n, r, seed):
    return entries(m, r, seed) @ entries(r, n, seed + 1)


def descending(a):
    return np.sort(np.linalg.eigvalsh(a))[::-1].tolist()


def signed(v):
    rows = np.argmax(np.abs(v), axis=0)
    top = v[rows, np.arange(v.shape[1])]
    return v * (np.abs(top) / top)


def eig(a):
    w, v = np.linalg.eigh(a)
    v = signed(v[:, ::-1])
    out = {'values': w[::-1].tolist(), 're': v.real.ravel().tolist()}
    if np.iscomplexobj(v):
        out['im'] = v.imag.ravel().tolist()
    return out


def svd(a):
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    su = signed(u)
    return {'u': su.ravel().tolist(), 's': s.tolist(), 'vt': (vt * np.sum(su * u, axis=0)[:, None]).ravel().tolist()}


def qr(a):
    q, r = np.linalg.qr(a)
    s = np.sign(np.diag(r))
    return {'q': (q * s).ravel().tolist(), 'r': (r * s[:, None]).ravel().tolist()}


def flat(a):
    return np.asarray(a).ravel().tolist()


def proper(a, b):
    u, _, vt = np.linalg.svd(a.T @ b)
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))
    return u @ vt


def total(cost, **kw):
    r, c = linear_sum_assignment(cost, **kw)
    return {'columns': c.tolist(), 'total': float(cost[r, c].sum())}


a96, x, y = entries(15, 6, 5), entries(20, 5, 6), entries(20, 3, 7)
positive = entries(30, 16, 8).T @ entries(30, 16, 8)
z, zy = entries(18, 4, 20) + 1j * entries(18, 4, 21), entries(18, 2, 22) + 1j * entries(18, 2, 23)
oracle = {
    'eigenvalues': {
        'dense64': descending(symmetric(64, 1)),
        'dense150': descending(symmetric(150, 2)),
        'hilbert12': descending(hilbert(12, 12)),
        'glued105': descending(glued(5, 10, 2.0**-27)),
        'graded20': descending(graded(20)),
        'repeated48': descending(np.kron(np.eye(8), symmetric(6, 4))),
        'rank5of40': descending(low_rank(40, 5, 5, 9) @ low_rank(40, 5, 5, 9).T),
        'hermitian40': descending(hermitian(40, 10)),
    },
    'eigh': eig(symmetric(10, 11)),
    'hermitian': eig(hermitian(9, 12)),
    'singularValues': {
        'wide40x90': np.linalg.svd(entries(40, 90, 13), compute_uv=False).tolist(),
        'square80': np.linalg.svd(entries(80, 80, 14), compute_uv=False).tolist(),
        'hilbert40x35': np.linalg.svd(hilbert(40, 35), compute_uv=False).tolist(),
        'rank6of60x50': np.linalg.svd(low_rank(60, 50, 6, 15), compute_uv=False).tolist(),
    },
    'svd': svd(entries(8, 5, 16)),
    'qr': qr(entries(9, 6, 17)),
    'cholesky': flat(np.linalg.cholesky(positive)),
    'solve': flat(np.linalg.solve(entries(12, 12, 18), entries(12, 4, 19))),
    'lstsq': flat(np.linalg.lstsq(a96, entries(15, 2, 4), rcond=None)[0]),
    'lstsqDeficient': flat(np.linalg.lstsq(low_rank(10, 6, 3, 2), entries(10, 2, 3), rcond=1e-10)[0]),
    'pinv': flat(np.linalg.pinv(entries(6, 4, 1))),
    'ridge': flat(np.linalg.solve(x.T @ x + 0.3 * np.eye(5), x.T @ y)),
    'complexRidge': {
        part: flat(getattr(np.linalg.solve(z.conj().T @ z + 0.2 * np.eye(4), z.conj().T @ zy), part)) for part in ('real', 'imag')
    },
    'procrustes': flat(sl.orthogonal_procrustes(entries(20, 6, 24), entries(20, 6, 25))[0]),
    'procrustesProper': [flat(proper(entries(20, d, 26), entries(20, d, 27 + s))) for d, s in ((6, 0), (6, 1), (2, 0), (2, 1))],
    'determinants': [float(np.linalg.det(proper(entries(20, 6, 26), entries(20, 6, 27)))), float(np.sign(np.linalg.det(entries(9, 9, 28))))],
    'assignment': {
        'square30': total(entries(30, 30, 29)),
        'wide12x20': total(entries(12, 20, 30)),
        'largest15': total(entries(15, 15, 31), maximize=True),
        'ties20': total(np.floor(entries(20, 20, 32) * 4))['total'],
    },
}
path = pathlib.Path(__file__).with_name('lapack.json')
path.write_text(json.dumps(oracle, indent=None, separators=(',', ':')) + '\n')
print(path, path.stat().st_size, 'bytes')
