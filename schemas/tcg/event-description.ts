import type { FirmwareEvent } from './event-log.js';

const utf16 = (bytes: Buffer): string =>
  bytes
    .subarray(0, bytes.length & ~1)
    .toString('utf16le')
    .replace(/\0+$/, '');

/** A GUID as UEFI prints it: the first three groups are little-endian. */
const guid = (bytes: Buffer): string => {
  const hex = (start: number, end: number): string => bytes.toString('hex', start, end);
  const reversed = (start: number, end: number): string =>
    Buffer.from(bytes.subarray(start, end)).reverse().toString('hex');
  return `${reversed(0, 4)}-${reversed(4, 6)}-${reversed(6, 8)}-${hex(8, 10)}-${hex(10, 16)}`;
};

/** Variables that decide over secure boot are told by their value, others by their length. */
const variable = (data: Buffer): string | null => {
  if (data.length < 32) return null;
  const nameChars = data.readBigUInt64LE(16);
  const valueBytes = data.readBigUInt64LE(24);
  if (nameChars > BigInt(data.length) || 32n + nameChars * 2n + valueBytes !== BigInt(data.length)) return null;
  const end = 32 + Number(nameChars) * 2;
  const value = data.subarray(end);
  const shown = value.length === 1 ? `= ${value[0]}` : `(${value.length} bytes)`;
  return `${utf16(data.subarray(32, end))} ${shown} of ${guid(data)}`;
};

/** Names of files in a device path (UEFI 10.3.5.4); bounded by its bytes. */
const filesOfPath = (path: Buffer): string => {
  const names: string[] = [];
  for (let at = 0; at + 4 <= path.length; ) {
    const length = path.readUInt16LE(at + 2);
    if (length < 4 || length > path.length - at) break;
    if (path[at] === 4 && path[at + 1] === 4) names.push(utf16(path.subarray(at + 4, at + length)));
    at += length;
  }
  return names.join('');
};

const image = (data: Buffer): string | null => {
  if (data.length < 32) return null;
  const length = data.readBigUInt64LE(24);
  if (length > BigInt(data.length - 32)) return null;
  const file = filesOfPath(data.subarray(32, 32 + Number(length)));
  return `${data.readBigUInt64LE(8)} bytes${file === '' ? '' : ` from ${file}`}`;
};

const blob = (data: Buffer): string | null =>
  data.length === 16 ? `${data.readBigUInt64LE(8)} bytes at 0x${data.readBigUInt64LE(0).toString(16)}` : null;

const blob2 = (data: Buffer): string | null => {
  const length = data[0];
  if (length === undefined || data.length !== 1 + length + 16) return null;
  return `${data.toString('latin1', 1, 1 + length).replace(/\0+$/, '')}, ${blob(data.subarray(1 + length))}`;
};

const tag = (data: Buffer): string | null => {
  if (data.length < 8 || data.readUInt32LE(4) > data.length - 8) return null;
  return text(data.subarray(8, 8 + data.readUInt32LE(4)));
};

const gpt = (data: Buffer): string | null =>
  data.length >= 92 && data.toString('latin1', 0, 8) === 'EFI PART'
    ? `partition table of disk ${guid(data.subarray(56))}`
    : null;

/** ASCII or UTF-16, if it is printable. */
function text(data: Buffer): string | null {
  if (data.length === 0) return '';
  const wide = data.length >= 4 && data.length % 2 === 0 && data[1] === 0 && data[0] !== 0;
  const shown = wide ? utf16(data) : data.toString('utf8').replace(/\0+$/, '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be shown as text
  return /^[^\u0000-\u0008\u000b-\u001f\u007f\ufffd]*$/.test(shown) ? shown : null;
}

const separator = (data: Buffer): string | null => {
  if (data.length !== 4) return text(data);
  const value = data.readUInt32LE(0);
  return value === 0
    ? 'end of the firmware'
    : value === 0xffffffff
      ? 'end of the firmware (ones)'
      : value === 1
        ? 'an error'
        : null;
};

const DESCRIBED: Readonly<Record<string, (data: Buffer) => string | null>> = {
  EV_SEPARATOR: separator,
  EV_EVENT_TAG: tag,
  EV_S_CRTM_VERSION: text,
  EV_EFI_VARIABLE_DRIVER_CONFIG: variable,
  EV_EFI_VARIABLE_BOOT: variable,
  EV_EFI_VARIABLE_BOOT2: variable,
  EV_EFI_VARIABLE_AUTHORITY: variable,
  EV_EFI_BOOT_SERVICES_APPLICATION: image,
  EV_EFI_BOOT_SERVICES_DRIVER: image,
  EV_EFI_RUNTIME_SERVICES_DRIVER: image,
  EV_EFI_PLATFORM_FIRMWARE_BLOB: blob,
  EV_EFI_PLATFORM_FIRMWARE_BLOB2: blob2,
  EV_EFI_GPT_EVENT: gpt,
  EV_EFI_GPT_EVENT2: gpt,
};

/** What an event says, in words; null where its data are not understood. The words are the firmware's claim. */
export const describeEvent = ({ typeName, data }: FirmwareEvent): string | null => (DESCRIBED[typeName] ?? text)(data);

/** Tag and text of an EV_EVENT_TAG; null for other events and for data that do not hold together. */
export const taggedText = (event: FirmwareEvent): string | null =>
  event.typeName === 'EV_EVENT_TAG' ? tag(event.data) : null;
