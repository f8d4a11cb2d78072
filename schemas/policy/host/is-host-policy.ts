import { isRecord, parseDocumentText } from '../document.js';

/** Whether a document says of itself that it is a policy of hosts (`kind: host`), valid or not. Throws POLICY_INVALID for what is no YAML. */
export const isHostPolicy = (text: string, file: string): boolean => {
  const { document } = parseDocumentText(text, file);
  return isRecord(document) && document['kind'] === 'host';
};
