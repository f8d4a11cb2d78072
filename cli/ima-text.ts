import type { ImaReplayAnswer, SignatureCounts } from './ima-replay.js';
import { printable } from './printable.js';

/** Indices that a person still reads. */
const SHOWN = 10;

const indices = (list: readonly number[]): string =>
  `${list.slice(0, SHOWN).join(', ')}${list.length > SHOWN ? `, … (${list.length})` : ''}`;

const plural = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`;

const signatureLine = ({ valid, unsigned, unknownKey, bad, unchecked }: SignatureCounts): string =>
  [
    `${valid} valid`,
    `${unsigned} unsigned`,
    ...(unknownKey.length > 0 ? [`${unknownKey.length} by unknown keys: entries ${indices(unknownKey)}`] : []),
    ...(bad.length > 0 ? [`${bad.length} bad: entries ${indices(bad)}`] : []),
    ...(unchecked.length > 0
      ? [`${unchecked.length} over metadata that are not listed: entries ${indices(unchecked)}`]
      : []),
  ].join('; ');

/** How near the search came, for a list that explains not all of the expected values. */
export const nearestText = ({ nearest, entries }: ImaReplayAnswer): string => {
  if (nearest === null) return '';
  const alone = nearest.missing
    .map((name, i) => {
      const at = nearest.alone[i] ?? null;
      return at === null ? `${name} is explained by none` : `${name} alone after ${plural(at, 'entry', 'entries')}`;
    })
    .join(', ');
  const best =
    nearest.explained.length === 0
      ? `no prefix of the ${plural(entries, 'entry', 'entries')} explains any expected value`
      : `the first ${nearest.index} of ${plural(entries, 'entry', 'entries')} explain ${nearest.explained.join(', ')}`;
  return `${best}; ${alone}`;
};

/** The answer for a person: counts, values in full, what explains them. */
export const imaReplayText = (answer: ImaReplayAnswer): string => {
  const { entries, format, byteOrder, templates, violations, unhashable, badTemplateHashes, bootAggregate } = answer;
  const rows: [string, string][] = [
    [
      'entries',
      `${entries}${format === null ? '' : `, ${format}`}${byteOrder === null ? '' : `, ${byteOrder}-endian`}`,
    ],
    [
      'templates',
      Object.entries(templates)
        .map(([name, count]) => `${printable(name)} (${count})`)
        .join(', '),
    ],
    ['violations', String(violations)],
  ];
  if (unhashable > 0) rows.push(['without digest', String(unhashable)]);
  if (badTemplateHashes.length > 0)
    rows.push([
      'bad hashes',
      `${plural(badTemplateHashes.length, 'entry', 'entries')} whose template digest is not the hash of its data: ${indices(badTemplateHashes)}`,
    ]);
  rows.push([
    'boot aggregate',
    bootAggregate === null ? 'none' : `${printable(bootAggregate.algorithm)}:${bootAggregate.digest}`,
  ]);
  for (const [bank, { mode, ...values }] of Object.entries(answer.banks))
    for (const [name, pcrs] of Object.entries(values))
      if (bank !== 'sha1' || name === 'per-bank')
        for (const [pcr, value] of Object.entries(pcrs))
          rows.push([`${bank}:${pcr}`, `${value} ${name}${mode === name ? ', as expected' : ''}`]);
  if (answer.prefix !== null)
    rows.push(['explained', `by the first ${answer.prefix.index} of ${plural(answer.prefix.of, 'entry', 'entries')}`]);
  if (answer.signatures !== null) rows.push(['signatures', signatureLine(answer.signatures)]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
};
