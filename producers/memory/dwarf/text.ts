import type { MemoryReader } from './frame-view.js';

/** Bytes of a text that are read; a longer one ends in `…`. */
export const MAX_TEXT = 256;
const PAGE = 4096;
const CUT = '…';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Text as it is where it is UTF-8, otherwise with its odd bytes as `\xNN`, so that different bytes stay different. */
export const textOf = (bytes: Buffer): string => {
  // Plain ASCII is what nearly all texts are.
  let plain = true;
  for (let i = 0; i < bytes.length; i++)
    if (bytes[i]! >= 0x80) {
      plain = false;
      break;
    }
  if (plain) return bytes.toString('latin1');
  try {
    return utf8.decode(bytes);
  } catch {
    return [...bytes].map((byte) => (byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`)).join('');
  }
};

/** A cut may fall into a character of several bytes: its beginning is left out. */
const cutText = (bytes: Buffer): string => {
  let end = bytes.length;
  for (let back = 1; back <= 4 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    if (needed > back) end = bytes.length - back;
    break;
  }
  return `${textOf(bytes.subarray(0, end))}${CUT}`;
};

/** NUL-terminated text, read page by page so that it may end right before unmapped memory; null if it cannot be read. */
export const readText = (memory: MemoryReader, address: number): string | null => {
  let text: Buffer | null = null;
  for (let length = 0; length < MAX_TEXT; ) {
    const at = address + length;
    const bytes = memory(at, Math.min(MAX_TEXT - length, PAGE - (at % PAGE)));
    if (bytes.length === 0) return null;
    const nul = bytes.indexOf(0);
    const part: Buffer = nul < 0 ? bytes : bytes.subarray(0, nul);
    text = text === null ? part : Buffer.concat([text, part]);
    if (nul >= 0) return textOf(text);
    length = text.length;
  }
  return cutText(text ?? Buffer.alloc(0));
};

/** Text of a known length; null if it cannot be read. */
export const readCounted = (memory: MemoryReader, address: number, length: number): string | null => {
  if (length === 0) return '';
  const wanted = Math.min(length, MAX_TEXT);
  const bytes = memory(address, wanted);
  if (bytes.length < wanted) return null;
  return length > wanted ? cutText(bytes) : textOf(bytes);
};
