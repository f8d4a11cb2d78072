import type { ImaRecord } from '../../schemas/ima/entry.js';
import { objectName } from '../../schemas/tpm/name.js';
import { selectionFromText } from '../../schemas/tpm/selection.js';
import { firmwareLog } from './firmware-log.js';
import { bootAggregate, extendRecord, imaRecord, sha256 } from './measured-files.js';
import { FILES } from './measured-host.js';
import { type Kind, StandInTpm, type Tweak } from './stand-in-tpm.js';

const u32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(n);
  return bytes;
};

/** Records as the kernel's binary list has them. */
export const binaryList = (records: readonly ImaRecord[]): Buffer =>
  Buffer.concat(
    records.flatMap(({ pcr, templateDigest, template, data }) => [
      u32(pcr),
      templateDigest,
      u32(template.length),
      Buffer.from(template),
      u32(data.length),
      data,
    ]),
  );

const b64 = (bytes: Buffer): string => bytes.toString('base64');

/** A bundle as JSON; its members can be taken apart and put together again. */
export type BundleJson = Record<string, unknown>;

export interface BundleFaults {
  readonly certify?: Tweak;
  readonly certifySigner?: (tpm: StandInTpm) => StandInTpm['aik1'];
  readonly quote?: Tweak;
  readonly quoteSigner?: (tpm: StandInTpm) => StandInTpm['aik2'];
  readonly before?: (tpm: StandInTpm, list: ImaRecord[]) => void;
}

export const COMMAND_LINE = 'root=/dev/vda ima_policy=tcb';

export interface MadeBundle {
  readonly tpm: StandInTpm;
  readonly list: readonly ImaRecord[];
  readonly json: BundleJson;
}

/** Evidence that stands alone and is flawless but for the fault that is asked for: certification, quote, list, firmware's log. */
export const makeBundle = (kind: Kind = 'ecdsa', faults: BundleFaults = {}): MadeBundle => {
  const tpm = new StandInTpm(kind, 'bundle');
  const list: ImaRecord[] = [];
  for (let pcr = 0; pcr <= 7; pcr++) tpm.extend('sha256', pcr, sha256(`firmware ${pcr}`));
  tpm.extend('sha256', 8, sha256(COMMAND_LINE));
  for (const record of [bootAggregate(tpm), ...FILES.map((path) => imaRecord(path, sha256(path)))]) {
    list.push(record);
    extendRecord(tpm, record);
  }
  faults.before?.(tpm, list);
  const nonce = sha256('a question');
  const certify = tpm.certify(nonce, faults.certify, faults.certifySigner?.(tpm) ?? tpm.aik1);
  const selection = selectionFromText('sha256:0,1,2,3,4,5,6,7,8,9,10,12');
  const quote = tpm.quote(selection, nonce, faults.quote, faults.quoteSigner?.(tpm) ?? tpm.aik2);
  const json = {
    enrolled: { ekPublic: b64(tpm.ek.public.bytes), aik1Name: objectName(tpm.aik1.public).toString('hex') },
    aik1Public: b64(tpm.aik1.public.bytes),
    aik2Public: b64(tpm.aik2.public.bytes),
    certify: { attest: b64(certify.attest), signature: b64(certify.signature), qualifyingData: nonce.toString('hex') },
    quote: {
      attest: b64(quote.attest),
      signature: b64(quote.signature),
      qualifyingData: nonce.toString('hex'),
      selection: { sha256: selection[0]!.pcrs },
    },
    pcrs: { sha256: Object.fromEntries(tpm.values(selection).map(({ pcr, value }) => [pcr, value.toString('hex')])) },
    logs: [
      { kind: 'ima', format: 'binary', data: b64(binaryList(list)) },
      { kind: 'tcg', data: b64(firmwareLog(COMMAND_LINE)) },
    ],
    previous: { resetCount: 7, restartCount: 0, clock: '5' },
  };
  return { tpm, list, json };
};
