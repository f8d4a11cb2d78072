/*
 * ECDSA over a digest that exists already, which Node's `crypto` cannot verify: the kernel signs the digest of the file, and
 * a list has no file to hash again. Only public values are worked on, so nothing here needs to take constant time.
 */

export interface Curve {
  readonly bytes: number;
  readonly p: bigint;
  readonly b: bigint;
  readonly n: bigint;
  readonly g: readonly [x: bigint, y: bigint];
}

/** Curves y² = x³ - 3x + b of FIPS 186-4, by OpenSSL's name: those that the kernel verifies with. */
export const CURVES: Readonly<Record<string, Curve>> = {
  prime192v1: {
    bytes: 24,
    p: 2n ** 192n - 2n ** 64n - 1n,
    b: 0x64210519e59c80e70fa7e9ab72243049feb8deecc146b9b1n,
    n: 0xffffffffffffffffffffffff99def836146bc9b1b4d22831n,
    g: [0x188da80eb03090f67cbf20eb43a18800f4ff0afd82ff1012n, 0x07192b95ffc8da78631011ed6b24cdd573f977a11e794811n],
  },
  prime256v1: {
    bytes: 32,
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    g: [
      0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
      0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
    ],
  },
  secp384r1: {
    bytes: 48,
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    g: [
      0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7n,
      0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5fn,
    ],
  },
  secp521r1: {
    bytes: 66,
    p: 2n ** 521n - 1n,
    b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
    n: 0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
    g: [
      0x00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66n,
      0x011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650n,
    ],
  },
};

export type Point = readonly [x: bigint, y: bigint];

const modulo = (value: bigint, by: bigint): bigint => {
  const rest = value % by;
  return rest < 0n ? rest + by : rest;
};

/** Inverse by Euclid's algorithm; `value` is not 0 modulo the prime. */
const inverse = (value: bigint, prime: bigint): bigint => {
  let [a, b, x, y] = [modulo(value, prime), prime, 1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b] = [b % a, a];
    [x, y] = [y - quotient * x, x];
  }
  return modulo(x, prime);
};

export const isOnCurve = ({ p, b }: Curve, [x, y]: Point): boolean =>
  x < p && y < p && modulo(y * y - (x * x * x - 3n * x + b), p) === 0n;

/** x/z², y/z³; z = 0 is the point at infinity. */
type Jacobian = readonly [x: bigint, y: bigint, z: bigint];

const INFINITY: Jacobian = [1n, 1n, 0n];

const double = ({ p }: Curve, [x, y, z]: Jacobian): Jacobian => {
  if (z === 0n || y === 0n) return INFINITY;
  const delta = (z * z) % p;
  const gamma = (y * y) % p;
  const beta = (x * gamma) % p;
  const alpha = (3n * (x - delta) * (x + delta)) % p;
  const x3 = (alpha * alpha - 8n * beta) % p;
  const z3 = (2n * y * z) % p;
  const y3 = (alpha * (4n * beta - x3) - 8n * gamma * gamma) % p;
  return [modulo(x3, p), modulo(y3, p), modulo(z3, p)];
};

const add = (curve: Curve, left: Jacobian, [x2, y2]: Point): Jacobian => {
  const { p } = curve;
  const [x1, y1, z1] = left;
  if (z1 === 0n) return [x2, y2, 1n];
  const zz = (z1 * z1) % p;
  const u = modulo(x2 * zz - x1, p);
  const s = modulo(((y2 * z1) % p) * zz - y1, p);
  if (u === 0n) return s === 0n ? double(curve, left) : INFINITY;
  const uu = (u * u) % p;
  const uuu = (uu * u) % p;
  const v = (x1 * uu) % p;
  const x3 = modulo(s * s - uuu - 2n * v, p);
  return [x3, modulo(s * (v - x3) - y1 * uuu, p), (z1 * u) % p];
};

const affine = ({ p }: Curve, [x, y, z]: Jacobian): Point | null => {
  if (z === 0n) return null;
  const i = inverse(z, p);
  const ii = (i * i) % p;
  return [(x * ii) % p, (((y * ii) % p) * i) % p];
};

/** u1·G + u2·Q, both read bit by bit together. */
const sum = (curve: Curve, u1: bigint, u2: bigint, q: Point): Point | null => {
  const both = affine(curve, add(curve, [...curve.g, 1n], q));
  let point = INFINITY;
  for (let bit = curve.bytes * 8 - 1; bit >= 0; bit--) {
    point = double(curve, point);
    const one = (u1 >> BigInt(bit)) & 1n;
    const two = (u2 >> BigInt(bit)) & 1n;
    if (one === 1n && two === 1n) {
      // G and Q may be opposite: then their sum adds nothing.
      if (both !== null) point = add(curve, point, both);
    } else if (one === 1n) point = add(curve, point, curve.g);
    else if (two === 1n) point = add(curve, point, q);
  }
  return affine(curve, point);
};

const numberOf = (bytes: Buffer): bigint => (bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`));

/** The two integers of a DER signature, exactly; null for anything else. */
const parseDer = (der: Buffer, most: number): [r: bigint, s: bigint] | null => {
  let at = 0;
  const length = (): number => {
    const first = der[at++] ?? 0x80;
    if (first < 0x80) return first;
    return first === 0x81 ? (der[at++] ?? -1) : -1;
  };
  if (der[at++] !== 0x30 || length() !== der.length - at) return null;
  const integer = (): bigint | null => {
    if (der[at++] !== 2) return null;
    const bytes = length();
    if (bytes < 1 || bytes > most + 1 || at + bytes > der.length || der[at]! >= 0x80) return null;
    at += bytes;
    return numberOf(der.subarray(at - bytes, at));
  };
  const r = integer();
  const s = r === null ? null : integer();
  return r === null || s === null || at !== der.length ? null : [r, s];
};

/** Whether `signature` (DER) is one over `digest` by the key with public point `q` (FIPS 186-4, 6.4). */
export const verifyEcdsaDigest = (curve: Curve, q: Point, digest: Buffer, signature: Buffer): boolean => {
  const parsed = parseDer(signature, curve.bytes);
  if (parsed === null || !isOnCurve(curve, q)) return false;
  const [r, s] = parsed;
  const { n } = curve;
  if (r <= 0n || r >= n || s <= 0n || s >= n) return false;
  const bits = n.toString(2).length;
  let e = numberOf(digest);
  if (digest.length * 8 > bits) e >>= BigInt(digest.length * 8 - bits);
  const w = inverse(s, n);
  const point = sum(curve, modulo(e * w, n), modulo(r * w, n), q);
  return point !== null && point[0] % n === r;
};
