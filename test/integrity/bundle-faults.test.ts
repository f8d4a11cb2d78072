import { createPublicKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import '../support/seed.js';
import {
  type BundleAnswer,
  type BundleOptions,
  DEFAULT_REQUIREMENTS,
  verifyBundle,
} from '../../processors/startup/bundle/verify-bundle.js';
import { isAttestreamError } from '../../schemas/errors.js';
import { parseBundle } from '../../schemas/evidence/bundle.js';
import { parseHostPolicy } from '../../schemas/policy/host/parse.js';
import { ATTESTATION_KEY, OBJECT_ATTRIBUTES } from '../../schemas/tpm/attributes.js';
import { objectName } from '../../schemas/tpm/name.js';
import { type BundleFaults, type BundleJson, binaryList, makeBundle } from '../support/evidence-bundle.js';
import { imaRecord, sha256, violationOf } from '../support/measured-files.js';
import { policyText } from '../support/measured-host.js';
import { cli } from '../support/run-cli.js';
import { attestationKey, StandInTpm } from '../support/stand-in-tpm.js';
import { temporaryFolder } from '../support/tmp.js';

const verify = (json: BundleJson, options: Partial<BundleOptions> & { anchorless?: boolean } = {}): BundleAnswer => {
  const bundle = parseBundle(JSON.stringify(json), 'bundle.json');
  const { anchorless = false, ...more } = options;
  return verifyBundle(bundle, {
    anchor: anchorless ? null : bundle.enrolled,
    require: DEFAULT_REQUIREMENTS,
    policy: null,
    logs: bundle.logs.map(({ data }) => data!),
    now: 0,
    ...more,
  });
};

type Member = Record<string, unknown>;
const member = (json: BundleJson, name: string): Member => json[name] as Member;

const flip = (base64: unknown, at = -1): string => {
  const bytes = Buffer.from(base64 as string, 'base64');
  const place = at < 0 ? bytes.length + at : at;
  bytes[place]! ^= 1;
  return bytes.toString('base64');
};

const cut = (base64: unknown, bytes: number): string => {
  const all = Buffer.from(base64 as string, 'base64');
  return all.subarray(0, all.length - bytes).toString('base64');
};

const other = new StandInTpm('ecdsa', 'another');
const list = (
  json: BundleJson,
  change: (records: ReturnType<typeof makeBundle>['list']) => readonly ReturnType<typeof imaRecord>[],
  records: ReturnType<typeof makeBundle>['list'],
): void => {
  (json['logs'] as Member[])[0]!['data'] = binaryList(change(records)).toString('base64');
};

interface Fault {
  readonly code: string;
  readonly what: string;
  readonly made?: BundleFaults;
  readonly change?: (json: BundleJson, made: ReturnType<typeof makeBundle>) => void;
  readonly result?: string;
  readonly options?: Partial<BundleOptions> & { anchorless?: boolean };
}

const FAULTS: readonly Fault[] = [
  { code: 'host.unknown', what: 'no anchor', options: { anchorless: true }, result: 'none' },
  {
    code: 'host.unknown',
    what: 'another AIK1 than the anchor names',
    change: (json) => {
      member(json, 'enrolled')['aik1Name'] = objectName(other.aik1.public).toString('hex');
    },
  },
  {
    code: 'ek.malformed',
    what: 'an endorsement key that is cut',
    change: (json) => {
      member(json, 'enrolled')['ekPublic'] = cut(member(json, 'enrolled')['ekPublic'], 5);
    },
  },
  {
    code: 'aik1.malformed',
    what: 'AIK1 cut',
    change: (json) => {
      json['aik1Public'] = cut(json['aik1Public'], 5);
    },
  },
  {
    code: 'aik2.malformed',
    what: 'AIK2 cut',
    change: (json) => {
      json['aik2Public'] = cut(json['aik2Public'], 5);
    },
  },
  { code: 'certify.signature', what: 'by another key', made: { certifySigner: () => other.aik1 } },
  {
    code: 'certify.signature',
    what: 'of another kind of key',
    made: { certifySigner: () => attestationKey('rsassa', 'kind') },
  },
  { code: 'certify.magic', what: 'made up', made: { certify: (fields) => ({ ...fields, magic: 0xff544346 }) } },
  { code: 'certify.type', what: 'another type', made: { certify: (fields) => ({ ...fields, type: 0x8014 }) } },
  {
    code: 'certify.nonce',
    what: 'another answer',
    made: { certify: (fields) => ({ ...fields, extraData: sha256('x') }) },
  },
  {
    code: 'certify.signer',
    what: 'under another parent',
    made: { certify: (fields) => ({ ...fields, qualifiedSigner: other.qualified(other.aik1) }) },
  },
  {
    code: 'certify.name',
    what: 'of another key',
    made: {
      certify: (fields) => ({ ...fields, certify: { ...fields.certify!, name: objectName(other.aik2.public) } }),
    },
  },
  {
    code: 'certify.qn',
    what: 'of a key under another parent',
    made: {
      certify: (fields) => ({ ...fields, certify: { ...fields.certify!, qualifiedName: other.qualified(other.aik2) } }),
    },
  },
  {
    code: 'aik1.attributes',
    what: 'AIK1 is not restricted',
    made: {
      before: (tpm) => {
        tpm.aik1 = attestationKey('ecdsa', 'free', ATTESTATION_KEY & ~OBJECT_ATTRIBUTES.restricted);
      },
    },
  },
  {
    code: 'aik2.attributes',
    what: 'AIK2 is not restricted',
    made: {
      before: (tpm) => {
        tpm.aik2 = attestationKey('ecdsa', 'free 2', ATTESTATION_KEY & ~OBJECT_ATTRIBUTES.restricted);
      },
    },
  },
  { code: 'quote.signature', what: 'by AIK1', made: { quoteSigner: (tpm) => tpm.aik1 } },
  { code: 'quote.magic', what: 'made up', made: { quote: (fields) => ({ ...fields, magic: 1 }) } },
  { code: 'quote.type', what: 'another type', made: { quote: (fields) => ({ ...fields, type: 0x8019 }) } },
  { code: 'quote.nonce', what: 'another answer', made: { quote: (fields) => ({ ...fields, extraData: sha256('x') }) } },
  {
    code: 'quote.signer',
    what: 'under another parent',
    made: { quote: (fields) => ({ ...fields, qualifiedSigner: other.qualified(other.aik2) }) },
  },
  {
    code: 'quote.selection',
    what: 'fewer registers than asked for',
    change: (json) => {
      member(json, 'quote')['selection'] = { sha256: [0, 10, 12, 14] };
    },
  },
  {
    code: 'boot.changed',
    what: 'certified in another boot',
    made: { certify: (fields) => ({ ...fields, resetCount: 6 }) },
  },
  {
    code: 'clock.backwards',
    what: 'before the last one',
    change: (json) => {
      member(json, 'previous')['clock'] = '99999999999';
    },
  },
  {
    code: 'identity.rollback',
    what: 'fewer resets than before',
    change: (json) => {
      member(json, 'previous')['resetCount'] = 8;
    },
  },
  {
    code: 'pcr.digest',
    what: 'another register value',
    change: (json) => {
      (member(json, 'pcrs')['sha256'] as Member)['10'] = sha256('x').toString('hex');
    },
  },
  {
    code: 'ima.prefix',
    what: 'another file in the list',
    change: (json, { list: records }) =>
      list(json, (all) => all.map((record, i) => (i === 2 ? imaRecord('/x', sha256('x')) : record)), records),
  },
  {
    code: 'ima.prefix',
    what: 'a list that is too short',
    change: (json, { list: records }) => list(json, (all) => all.slice(0, -1), records),
  },
  {
    code: 'ima.malformed',
    what: 'a list that is torn',
    change: (json) => {
      const log = (json['logs'] as Member[])[0]!;
      log['data'] = cut(log['data'], 3);
    },
  },
  {
    code: 'firmware.malformed',
    what: "a firmware's log that is torn",
    change: (json) => {
      const log = (json['logs'] as Member[])[1]!;
      log['data'] = cut(log['data'], 3);
    },
  },
  {
    code: 'firmware.prefix',
    what: 'another digest of the firmware',
    change: (json) => {
      const log = (json['logs'] as Member[])[1]!;
      const bytes = Buffer.from(log['data'] as string, 'base64');
      log['data'] = flip(log['data'], bytes.indexOf(sha256('firmware 3')));
    },
  },
  {
    code: 'binding.prefix',
    what: 'a register that the binding list does not explain',
    made: { before: (tpm) => tpm.extend('sha256', 12, sha256('by hand')) },
    change: (json) => {
      const data = binaryList([imaRecord('binding', sha256('x'), { pcr: 12 })]).toString('base64');
      (json['logs'] as Member[]).push({ kind: 'binding', formula: 'binding-log/v1', data });
    },
  },
  {
    code: 'evidence.incomplete',
    what: 'no certification, and one is required',
    change: (json) => {
      json['certify'] = null;
    },
    result: 'none',
  },
  {
    code: 'evidence.incomplete',
    what: 'no logs, and they are required',
    change: (json) => {
      json['logs'] = [];
    },
    result: 'none',
  },
  {
    code: 'evidence.incomplete',
    what: 'reference values are required, and there is no policy',
    options: { require: ['quote', 'references'] },
    result: 'none',
  },
  {
    code: 'ima.unexplained',
    what: 'a file that the policy does not list',
    made: { before: (tpm, records) => extend(tpm, records, imaRecord('/usr/bin/new', sha256('new'))) },
    options: { policy: parseHostPolicy(policyText({ unlisted: 'contraindicated' }), 'policy') },
  },
  {
    code: 'ima.violation',
    what: 'a violation under a policy',
    made: { before: (tpm, records) => extend(tpm, records, violationOf(imaRecord('/x', sha256('x')))) },
    options: { policy: parseHostPolicy(policyText(), 'policy') },
  },
];

const extend = (
  tpm: StandInTpm,
  records: ReturnType<typeof imaRecord>[],
  record: ReturnType<typeof imaRecord>,
): void => {
  records.push(record);
  const violation = record.templateDigest.every((byte) => byte === 0);
  tpm.extend('sha256', 10, violation ? Buffer.alloc(32, 0xff) : sha256(record.data));
};

describe('a bundle without a fault', () => {
  test.each(['ecdsa', 'ecdsa384', 'rsassa', 'rsapss'] as const)('is affirmed: %s', (kind) => {
    const answer = verify(makeBundle(kind).json);
    expect(answer).toMatchObject({ result: 'affirming', anchored: true, reasons: [] });
    expect(answer.notChecked).toEqual(['references', 'coverage']);
  });

  test('and under a policy, with coverage by its command line', () => {
    const policy = parseHostPolicy(policyText({ coverage: { rules: 'tcb' } }), 'policy');
    const answer = verify(makeBundle().json, {
      policy,
      require: ['certify', 'quote', 'pcrs', 'logs', 'firmware', 'coverage', 'references'],
    });
    expect(answer).toMatchObject({ result: 'affirming', reasons: [], notChecked: [] });
  });

  test('wrapped as TPM2B is the same', () => {
    const wrap = (base64: unknown): string => {
      const bytes = Buffer.from(base64 as string, 'base64');
      const size = Buffer.alloc(2);
      size.writeUInt16BE(bytes.length);
      return Buffer.concat([size, bytes]).toString('base64');
    };
    const { json } = makeBundle();
    for (const name of ['certify', 'quote']) member(json, name)['attest'] = wrap(member(json, name)['attest']);
    for (const name of ['aik1Public', 'aik2Public']) json[name] = wrap(json[name]);
    expect(verify(json).result).toBe('affirming');
  });

  test('with AIK2 as PEM says what it cannot tell', () => {
    const { json, tpm } = makeBundle();
    json['aik2Public'] = pem(tpm);
    const answer = verify(json, { require: ['quote', 'pcrs', 'logs'] });
    expect(answer).toMatchObject({ result: 'none', anchored: false });
    expect(answer.notChecked).toEqual(expect.arrayContaining(['certify', 'aik2.attributes']));
    expect(answer.passed).toEqual(expect.arrayContaining(['quote.signature', 'pcr.digest', 'ima.prefix']));
  });
});

const pem = (tpm: StandInTpm): string =>
  createPublicKey(tpm.aik2.privateKey).export({ type: 'spki', format: 'pem' }) as string;

describe('one fault, its own code', () => {
  test.each(FAULTS)('$code: $what', ({ code, made, change, result, options }) => {
    const bundle = makeBundle('ecdsa', made);
    change?.(bundle.json, bundle);
    const answer = verify(bundle.json, options);
    expect(answer.result).toBe(result ?? 'contraindicated');
    if (answer.result !== 'affirming') expect(answer.reasons.map((reason) => reason.code)).toContain(code);
  });
});

test('no change of an authenticated byte is affirmed', () => {
  const { json } = makeBundle();
  const places = [
    ['certify', 'attest'],
    ['certify', 'signature'],
    ['quote', 'attest'],
    ['quote', 'signature'],
    ['', 'aik1Public'],
    ['', 'aik2Public'],
  ] as const;
  fc.assert(
    fc.property(fc.constantFrom(...places), fc.nat(), fc.integer({ min: 1, max: 255 }), ([part, name], at, mask) => {
      const damaged = structuredClone(json);
      const holder = part === '' ? damaged : member(damaged, part);
      const bytes = Buffer.from(holder[name] as string, 'base64');
      bytes[at % bytes.length]! ^= mask;
      holder[name] = bytes.toString('base64');
      try {
        return verify(damaged).result !== 'affirming';
      } catch (error) {
        return isAttestreamError(error);
      }
    }),
    { numRuns: 400 },
  );
});

describe('the command', () => {
  const folder = temporaryFolder('bundle');
  const write = (name: string, json: unknown): string => {
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify(json));
    return path;
  };

  test('affirms by a file of keys, by the bundle itself, and not without either', async () => {
    const { json } = makeBundle();
    const path = write('good.json', json);
    const enrolled = write('host.json', json['enrolled']);
    expect((await cli(['evidence', 'verify', path, '--enrolled', enrolled])).code).toBe(0);
    const own = await cli(['evidence', 'verify', path, '--self-contained', '--output', 'json']);
    expect(own.code).toBe(0);
    expect(JSON.parse(own.stdout)).toMatchObject({ result: 'affirming', anchored: true });
    const without = await cli(['evidence', 'verify', path, '--output', 'json']);
    expect(without.code).toBe(1);
    expect(JSON.parse(without.stdout)).toMatchObject({ result: 'none', anchored: false });
  });

  test('reads logs from files beside the bundle, and from nowhere else', async () => {
    const { json, list: records } = makeBundle();
    writeFileSync(join(folder, 'list.bin'), binaryList(records));
    const log = (json['logs'] as Member[])[0]!;
    json['logs'] = [{ kind: 'ima', path: 'list.bin' }];
    expect((await cli(['evidence', 'verify', write('beside.json', json), '--self-contained'])).code).toBe(0);
    json['logs'] = [{ ...log, data: undefined, path: '../outside.bin' }];
    const out = await cli(['evidence', 'verify', write('outside.json', json), '--self-contained']);
    expect([out.code, out.stderr]).toEqual([2, expect.stringContaining('EVIDENCE_INVALID')]);
  });

  test.each([
    ['no JSON', 'x{'],
    ['no quote', '{}'],
    ['no base64', '{"quote": {"attest": "!", "signature": "AA=="}}'],
    ['a list for an object', '{"quote": []}'],
    ['no hex', '{"quote": {"attest": "AAAA", "signature": "AAAA", "qualifyingData": "zz"}}'],
  ])('says where a bundle is none: %s', async (_, text) => {
    const path = join(folder, 'bad.json');
    writeFileSync(path, text);
    const { code, stderr } = await cli(['evidence', 'verify', path]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('EVIDENCE_INVALID')]);
  });
});
