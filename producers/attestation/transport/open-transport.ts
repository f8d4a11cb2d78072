import { AttestreamError } from '../../../schemas/errors.js';
import { openDevice } from './device-transport.js';
import { openSocket } from './socket-transport.js';
import type { TpmTransport, TransportOptions } from './transport.js';

/** Where a TPM is. */
export type TpmAddress =
  | { readonly kind: 'device'; readonly path: string }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'swtpm'; readonly host: string; readonly port: number };

/** The kernel's own resource manager: it may be shared, and swaps objects in and out. */
export const DEFAULT_ADDRESS = 'device:/dev/tpmrm0';

/** Reads `device:PATH`, `unix:PATH` or `swtpm:HOST:PORT` (IPv6 in brackets). Throws USAGE. */
export const parseTpmAddress = (text: string): TpmAddress => {
  const [, kind, path] = /^(device|unix):(.+)$/s.exec(text) ?? [];
  if ((kind === 'device' || kind === 'unix') && path !== undefined && !path.includes('\0')) return { kind, path };
  const [, host, digits] = /^swtpm:(\[[0-9A-Fa-f:.]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (host !== undefined && port > 0 && port < 65_536)
    return { kind: 'swtpm', host: host.replace(/^\[|\]$/g, ''), port };
  throw new AttestreamError(
    'USAGE',
    `${JSON.stringify(text)} is no TPM: write device:/dev/tpmrm0, unix:PATH or swtpm:HOST:PORT`,
  );
};

/** Opens the TPM at an address. An emulator is connected to per command, so that other programs may use it between. */
export const openTransport = async (text: string, options: TransportOptions = {}): Promise<TpmTransport> => {
  const address = parseTpmAddress(text);
  switch (address.kind) {
    case 'device':
      return openDevice(address.path, options);
    case 'unix':
      return openSocket(text, { path: address.path }, { ...options, keepOpen: true });
    case 'swtpm':
      return openSocket(text, { host: address.host, port: address.port }, { ...options, keepOpen: false });
  }
};
