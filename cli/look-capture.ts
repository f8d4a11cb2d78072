import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { openCapture } from '../producers/memory/capture/capture.js';
import { CaptureFiles } from '../producers/memory/capture/capture-files.js';
import { lookAtCapture } from '../producers/memory/capture/look-at-capture.js';
import { type SavedCapture, saveCapture } from '../producers/memory/capture/save-capture.js';
import { lookJson } from '../producers/memory/sample/look-json.js';
import type { Watch } from '../producers/memory/sample/look-result.js';
import { Findings } from './exit.js';
import { lookText } from './look-text.js';
import { outputOf } from './output.js';
import { printable } from './printable.js';

/** Captures in folders of one folder, as `--save` makes them for several looks: by name. */
const capturesIn = (folder: string): string[] => {
  const files = new CaptureFiles(folder);
  const names = files.list();
  if (names.includes('maps')) return [folder];
  const within = names.filter((name) => /^\d+\.\d+$/.test(name) && files.list(name).includes('maps'));
  // Opened as it is, a folder without a capture says what it lacks.
  return within.length === 0 ? [folder] : within.map((name) => join(folder, name));
};

/** Prints what a capture tells. Throws CAPTURE_INVALID, and Findings for evidence that is not what was captured. */
const tell = async (folder: string, watch: Watch, command: Command, saved: SavedCapture | null): Promise<boolean> => {
  const out = outputOf(command);
  const capture = openCapture(folder);
  const look = lookAtCapture(capture, watch);
  const { problems } = capture;
  const intact = problems === null ? null : problems.length === 0;
  const evidence = {
    folder,
    intact,
    problems: problems ?? [],
    ...(saved === null ? {} : { digest: saved.digest, missing: saved.missing }),
  };
  await out.line({ ...lookJson(look, 0), evidence }, () =>
    [
      lookText(look),
      ...(saved === null ? [] : [`kept in ${printable(folder)}, capture.json sha256:${saved.digest}`]),
      ...(saved?.missing ?? []).map((what) => `not kept: ${printable(what)}`),
      ...(problems ?? []).map((problem) => `TAMPERED: ${printable(problem)}`),
      ...(intact === null ? ['nothing tells whether this evidence is as it was captured: no capture.json'] : []),
    ].join('\n'),
  );
  return intact !== false;
};

/** Decodes what `--save` kept, of any machine. */
export const lookFrom = async (folder: string, watch: Watch, command: Command): Promise<void> => {
  let intact = true;
  for (const capture of capturesIn(folder)) intact = (await tell(capture, watch, command, null)) && intact;
  if (!intact) throw new Findings(`the evidence in ${folder} is not what was captured`);
};

export interface SaveTo {
  readonly folder: string;
  /** Keep programs and libraries, too. */
  readonly files: boolean;
  /** More than one capture will be made: each gets a folder of its own. */
  readonly several: boolean;
}

/** Keeps one look at a process, and prints what the evidence tells. */
export const lookAndSave = async (
  pid: number,
  number: number,
  { folder, files, several }: SaveTo,
  watch: Watch,
  command: Command,
): Promise<void> => {
  const place = several ? join(folder, `${pid}.${number}`) : folder;
  if (several) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const saved = saveCapture(pid, place, Date.now() * 1000, { files, programs: folder });
  await tell(place, watch, command, saved);
};
