import { splitCertificates } from '../../producers/attestation/keys/ek-certificate.js';
import { readAttestation } from '../../producers/attestation/tpm/attestation.js';
import { parseAnswer, type TpmAnswer, type TpmCommand } from '../../producers/attestation/tpm/command.js';
import { readNvPublic } from '../../producers/attestation/tpm/nv.js';
import { readPublicArea } from '../../producers/attestation/tpm/object.js';
import { readPcrAnswer } from '../../producers/attestation/tpm/pcr.js';
import { announcedSize } from '../../producers/attestation/transport/transport.js';
import { isAttestreamError } from '../../schemas/errors.js';
import { sized, u16, u32 } from '../../schemas/tpm/writer.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { quoteVector } from '../support/tpm-vectors.js';

const { message, signature, public: area, name } = quoteVector('ecc');

const answer = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([u16(tag), u32(10 + body.length), u32(0), body]);
};
const nv = Buffer.concat([u32(0x01500001), u16(0x0b), u32(0x22072001), sized(), u16(1016)]);
const selection = Buffer.from('00000001000b03030000', 'hex');

type Reading = readonly [Pick<TpmCommand, 'name' | 'givesHandle'>, (answer: TpmAnswer) => void];
const READINGS: readonly Reading[] = [
  [{ name: 'Quote' }, (made) => void readAttestation(made)],
  [{ name: 'ReadPublic' }, ({ parameters }) => void readPublicArea(parameters)],
  [{ name: 'CreatePrimary', givesHandle: true }, ({ parameters }) => void readPublicArea(parameters)],
  [{ name: 'NV_ReadPublic' }, ({ parameters }) => void readNvPublic(parameters)],
  [{ name: 'PCR_Read' }, ({ parameters }) => void readPcrAnswer(parameters)],
];

/** Answers of a TPM to five commands, each read as an answer to each. */
export const target: FuzzTarget = {
  seeds: () => [
    answer(
      0x8002,
      u32(sized(message).length + signature.length),
      sized(message),
      signature,
      u16(0),
      Buffer.of(1),
      u16(0),
    ),
    answer(0x8001, sized(area), sized(name), sized(name)),
    answer(0x8002, u32(0x80000000), u32(2 + area.length), sized(area)),
    answer(0x8001, sized(nv), sized(name)),
    answer(0x8001, u32(21), selection, u32(2), sized(Buffer.alloc(32)), sized(Buffer.alloc(32))),
  ],
  maxBytes: 4096,
  run: (input) => {
    announcedSize(input);
    splitCertificates(input);
    let refusal: unknown = null;
    let taken = 0;
    for (const [command, read] of READINGS)
      try {
        read(parseAnswer(command, input));
        taken++;
      } catch (error) {
        if (!isAttestreamError(error)) throw error;
        refusal = error;
      }
    if (taken === 0) throw refusal;
  },
};
