import type { Activation, Look, Parameter, ProcessEvent } from '../schemas/records.js';

type Json = Record<string, unknown>;

const parameterText = ({ name, int, real, text, kind }: Parameter): string =>
  kind === 'unavailable' ? `${name}=?` : `${name}=${int ?? real ?? JSON.stringify(text)}`;

/** One event in a line a person can read. */
const eventText = (event: unknown): readonly string[] => {
  if (event === null || event === undefined) return ['(not in the log any more, or no --log was given)'];
  const record = event as Partial<Activation & Look & ProcessEvent>;
  if (record.threads !== undefined)
    return record.threads.flatMap(({ tid, outcome, frames }) => [
      `look at thread ${tid}: ${outcome}`,
      ...frames.map(
        (frame) => `    ${frame.function}(${frame.parameters.map(parameterText).join(', ')})  [${frame.foundBy}]`,
      ),
    ]);
  if (record.function !== undefined)
    return [`call ${record.function}(${(record.parameters ?? []).map(parameterText).join(', ')})`];
  return [`process ${record.kind} ${record.binary ?? ''}`.trimEnd()];
};

/** A verdict and the events behind it, for a person. */
export const explanation = (
  verdict: Json,
  rests: readonly { readonly topic: string; readonly partition: number; readonly offset: number }[],
  events: readonly unknown[],
): string => {
  const subject = verdict['subject'] as Record<string, string>;
  const believed = verdict['believed'] as readonly string[];
  const assumes = verdict['assumes'] as readonly string[];
  const numbers = verdict['numbers'] as Record<string, number>;
  const bindings = Object.entries(verdict['bindings'] as Json).map(
    ([name, value]) => `${name} = ${JSON.stringify(value)}`,
  );
  const lines = [
    `${String(verdict['state']).toUpperCase()}: ${verdict['message']}`,
    '',
    `process    ${subject['process']}${subject['slice'] ? ` (slice ${subject['slice']})` : ''} on host ${subject['host']}`,
    `at         ${new Date((verdict['at'] as number) / 1000).toISOString()}`,
    `policy     ${verdict['policy']}`,
    `machine    ${verdict['machine']}`,
    ...(verdict['replaces'] === null ? [] : [`replaces   ${verdict['replaces']}`]),
    ...(bindings.length === 0 ? [] : [`values     ${bindings.join(', ')}`]),
    `assumes    ${assumes.length === 0 ? 'nothing' : assumes.join(', ')}`,
    `innocent   ${
      believed.length === 0
        ? 'no run of the process without a fault explains what was seen'
        : `a run without a fault may be in ${believed.join(' or ')}${numbers['unseen'] ? `, with ${numbers['unseen']} calls that nobody saw` : ''}`
    }`,
    '',
    'rests on',
    ...rests.flatMap(({ topic, partition, offset }, i) => {
      const [first, ...more] = eventText(events[i]);
      return [`  ${topic}/${partition}@${offset}  ${first}`, ...more.map((line) => `  ${line}`)];
    }),
    '',
  ];
  return lines.join('\n');
};
