import { taggedText } from './event-description.js';
import { isDigestOf } from './event-digest.js';
import type { FirmwareEvent } from './event-log.js';

export interface MeasuredCommandLine {
  readonly text: string;
  readonly pcr: number;
  readonly source: 'grub' | 'systemd-stub' | 'efi-stub';
}

const GRUB = /^(?:grub_)?kernel_cmdline:? ?/;

/** Bytes that a boot loader may have hashed for a command line. */
const encodings = (text: string): readonly Buffer[] => [
  Buffer.from(text, 'utf8'),
  Buffer.from(`${text}\0`, 'utf8'),
  Buffer.from(text, 'utf16le'),
  Buffer.from(`${text}\0`, 'utf16le'),
];

const measures = (event: FirmwareEvent, text: string): boolean =>
  encodings(text).some((bytes) => isDigestOf(event, bytes));

/** GRUB writes `kernel_cmdline: TEXT` and hashes TEXT. */
const fromGrub = (event: FirmwareEvent): string | null => {
  if (event.typeName !== 'EV_IPL' || (event.pcr !== 8 && event.pcr !== 9)) return null;
  const shown = event.data.toString('utf8').replace(/\0+$/, '');
  const prefix = GRUB.exec(shown);
  if (prefix === null) return null;
  const text = shown.slice(prefix[0].length);
  return measures(event, text) || measures(event, shown) ? text : null;
};

/** systemd-stub writes the text in UTF-16, terminated, and hashes just that; PCR 12, in early versions 8. */
const fromSystemdStub = (event: FirmwareEvent): string | null => {
  if (event.typeName !== 'EV_IPL' || (event.pcr !== 12 && event.pcr !== 8) || event.data.length % 2 !== 0) return null;
  const text = event.data.toString('utf16le').replace(/\0+$/, '');
  // Every second byte of ASCII text in UTF-16 is zero: else it is something that was not a command line.
  return event.data.length >= 2 && event.data[1] === 0 && measures(event, text) ? text : null;
};

/** The kernel's own EFI stub tells only that it hashed its load options: the text has to come from elsewhere. */
const isLoadOptions = (event: FirmwareEvent): boolean =>
  event.pcr === 9 && taggedText(event) === 'LOADED_IMAGE::LoadOptions';

/**
 * The kernel's command lines that the log proves, in its order: each one's text is what the event's digests are over. A text that
 * was merely written beside a digest is left out.
 * @param claimed what the host says its command line is (`/proc/cmdline`): proven by the EFI stub's event if that hashed it
 */
export const kernelCommandLines = (
  events: readonly FirmwareEvent[],
  claimed: string | null = null,
): MeasuredCommandLine[] => {
  const found: MeasuredCommandLine[] = [];
  const trimmed = claimed?.replace(/[\n\0]+$/, '') ?? null;
  for (const event of events) {
    const { pcr } = event;
    const grub = fromGrub(event);
    if (grub !== null) {
      found.push({ text: grub, pcr, source: 'grub' });
      continue;
    }
    const stub = fromSystemdStub(event);
    if (stub !== null) found.push({ text: stub, pcr, source: 'systemd-stub' });
    else if (trimmed !== null && isLoadOptions(event))
      for (const text of [trimmed, `${trimmed} `, trimmed.trimEnd()])
        if (measures(event, text)) {
          found.push({ text: trimmed, pcr, source: 'efi-stub' });
          break;
        }
  }
  return found;
};
