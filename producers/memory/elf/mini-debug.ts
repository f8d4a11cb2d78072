import xz from 'xz-decompress';
import { sourceOfBuffer } from './byte-source.js';
import { type Elf, parseElf, sectionBytes } from './elf.js';

const SECTION = '.gnu_debugdata';
const MAX_PACKED = 16 * 1024 * 1024;
const MAX_UNPACKED = 64 * 1024 * 1024;

/** The file carries the symbols that were stripped from it, packed (GDB manual, "MiniDebugInfo"). */
export const hasMiniDebug = (elf: Elf): boolean =>
  elf.sections.some(({ name, size }) => name === SECTION && size > 0 && size <= MAX_PACKED);

const unpack = async (packed: Buffer): Promise<Buffer | null> => {
  const whole = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(packed);
      controller.close();
    },
  });
  // The library unpacks one stream after another, and refuses dictionaries beyond its bound.
  const reader = new xz.XzReadableStream(whole).getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks);
    length += value.length;
    if (length > MAX_UNPACKED) {
      await reader.cancel();
      return null;
    }
    chunks.push(value);
  }
};

/** The file within; null if there is none, or it is damaged or unpacks to more than 64 MiB. Never rejects. */
export const readMiniDebug = async (elf: Elf): Promise<Elf | null> => {
  try {
    const bytes = hasMiniDebug(elf) ? await unpack(sectionBytes(elf, SECTION)) : null;
    return bytes === null ? null : parseElf(sourceOfBuffer(bytes));
  } catch {
    return null;
  }
};
