import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import type { EvidenceBundle } from '../../producers/attestation/collect.js';
import { parsePublic } from '../../schemas/tpm/public.js';
import { publicKeyObject } from '../../schemas/tpm/public-key.js';
import { cli } from '../support/run-cli.js';
import { type TestTpm, testTpm, withSwtpm } from '../support/swtpm.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('evidence');
const PCRS = { sha1: [10], sha256: [0, 10, 16] };

withSwtpm('evidence', () => {
  let tpm: TestTpm;
  beforeAll(async () => {
    tpm = await testTpm(folder);
    tpm.tool('tpm2_pcrextend', `16:sha256=${'ab'.repeat(32)}`);
  }, 60_000);
  const at = (name: string): string => join(tpm.folder, name);

  test.each(['ecc-p256', 'ecc-p384', 'rsa2048-ssa', 'rsa2048-pss'])(
    'of ours (%s) is verified by us, and its quote by tpm2_checkquote',
    async (algorithm) => {
      const nonce = randomBytes(20).toString('hex');
      const file = join(folder, `${algorithm}.json`);
      const collected = await cli([
        ...['evidence', 'collect', '--tpm', tpm.address, '--algorithm', algorithm, '--nonce', nonce, '--out', file],
        ...['--pcrs', 'sha1:10+sha256:0,10,16'],
      ]);
      expect(collected).toMatchObject({ code: 0 });
      const bundle = JSON.parse(readFileSync(file, 'utf8')) as EvidenceBundle;
      expect(bundle.quote).toMatchObject({ qualifyingData: nonce, selection: PCRS });
      const verified = await cli([
        ...['evidence', 'verify', file, '--self-contained', '--require', 'certify,quote,pcrs', '--output', 'json'],
      ]);
      expect(verified).toMatchObject({ code: 0 });
      expect(JSON.parse(verified.stdout)).toMatchObject({ result: 'affirming' });

      // Of a key in PEM the tool takes every RSA signature for PKCS #1.
      if (algorithm === 'rsa2048-pss') return;
      const bytes = (base64: string): Buffer => Buffer.from(base64, 'base64');
      writeFileSync(at('msg'), bytes(bundle.quote.attest));
      writeFileSync(at('sig'), bytes(bundle.quote.signature));
      writeFileSync(
        at('aik2.pem'),
        publicKeyObject(parsePublic(bytes(bundle.aik2Public))).export({ type: 'spki', format: 'pem' }),
      );
      const values = [bundle.pcrs['sha1']?.['10'], ...PCRS.sha256.map((pcr) => bundle.pcrs['sha256']?.[pcr])];
      writeFileSync(at('pcrs'), Buffer.from(values.join(''), 'hex'));
      const hash = algorithm === 'ecc-p384' ? 'sha384' : 'sha256';
      const check = (challenge: string): string =>
        tpm.tool(
          'tpm2_checkquote',
          ...['-u', 'aik2.pem', '-m', 'msg', '-s', 'sig', '-g', hash, '-q', challenge],
          ...['-f', 'pcrs', '-F', 'values', '-l', 'sha1:10+sha256:0,10,16'],
        );
      check(nonce);
      expect(() => check('00'.repeat(20))).toThrow();
    },
    60_000,
  );
});
