import { attestationKeyFaults, attributeNames } from '../../schemas/tpm/attributes.js';
import { EK_TEMPLATES, ekTemplateOf } from '../../schemas/tpm/ek-template.js';
import { marshalPublic } from '../../schemas/tpm/marshal-public.js';
import { objectName } from '../../schemas/tpm/name.js';
import { parsePublic } from '../../schemas/tpm/public.js';
import { publicKeyObject } from '../../schemas/tpm/public-key.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { TPM_VECTORS } from '../support/tpm-vectors.js';

const seeds = [
  TPM_VECTORS.endorsement,
  ...TPM_VECTORS.quotes.map((vector) => vector.public),
  ...TPM_VECTORS.credentials.map((vector) => vector.public),
];
const contents = new Map(seeds.map((seed) => [objectName(parsePublic(seed)).toString('hex'), seed]));

/** Public areas: read, named, turned into keys; and none has the name of another. */
export const target: FuzzTarget = {
  seeds: () => seeds,
  maxBytes: 4096,
  run: (input) => {
    const area = parsePublic(input);
    attributeNames(area.attributes);
    attestationKeyFaults(area.attributes);
    const known = ekTemplateOf(area);
    if (known !== null && !EK_TEMPLATES.includes(known)) throw new Error('a template out of nowhere');
    const twin = contents.get(objectName(area).toString('hex'));
    if (twin !== undefined && !twin.equals(area.bytes)) throw new Error('two areas with one name');
    publicKeyObject(area);
    if (area.type === 'rsa' || area.type === 'ecc') parsePublic(marshalPublic(area));
  },
};
