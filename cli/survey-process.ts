import { randomInt } from 'node:crypto';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import {
  Survey,
  type Surveyed,
  type SurveyedFunction,
  type SurveyedParameter,
} from '../producers/memory/survey/survey.js';
import { isInterrupt } from './exit.js';
import { ioOf, stopOf } from './io.js';
import { everyProcess, oneProcess } from './look-targets.js';
import { outputOf } from './output.js';
import { printable } from './printable.js';
import { progressOf } from './progress.js';
import { namedTarget } from './target-process.js';

export interface SurveyOptions {
  readonly pid?: string;
  readonly container?: string;
  readonly dockerHost?: string;
  /** µs; until the processes end if absent. */
  readonly for?: number;
  /** Rounds of looks per second. */
  readonly budget?: number;
  /** Show what parameters hold. */
  readonly values?: boolean;
}

const DEFAULT_RATE = 100;
/** Of the time between two looks, what chance may take or give: a program in step with the looks would show but one face. */
const JITTER = 0.9;
const FINE = 1_000_000;

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

const parameterText = ({ name, type, distinct, more, seen, values }: SurveyedParameter): string => {
  const count = seen === 0 ? 'no value' : `${distinct}${more ? '+' : ''} value${distinct === 1 ? '' : 's'}`;
  const held = values === null || seen === 0 ? '' : `: ${values.map(({ value }) => value).join(', ')}`;
  return printable(`${name} (${type}, ${count}${held})`);
};

const row = (one: SurveyedFunction): object => ({
  function: printable(one.function),
  looks: percent(one.share),
  innermost: percent(one.innermostShare),
  file: printable(basename(one.module)),
  parameters: one.parameters.map(parameterText).join('; '),
});

/** Looks blindly at irregular instants, and prints which functions were met how often, with which parameters. */
export const surveyProcess = async (options: SurveyOptions, command: Command): Promise<void> => {
  const out = outputOf(command);
  const named = await namedTarget(options, ioOf(command).env);
  const targets = 'pid' in named ? oneProcess(named.pid, 'all') : everyProcess(named.container, 'all');
  const survey = new Survey({ values: options.values === true });
  const progress = progressOf(command, 'survey');
  const end = performance.now() + (options.for ?? Number.POSITIVE_INFINITY) / 1000;
  const period = 1000 / (options.budget ?? DEFAULT_RATE);
  const stop = stopOf(command);
  try {
    for (let rounds = 0; performance.now() < end; rounds++) {
      const current = targets.current();
      if (current.length === 0) break;
      for (const target of current) {
        const look = target.look();
        survey.add(look);
        if (look.gone) targets.drop(target);
      }
      progress.update(0, 0, rounds);
      const chance = 1 - JITTER + (2 * JITTER * randomInt(FINE)) / FINE;
      await delay(Math.min(period * chance, Math.max(0, end - performance.now())), undefined, { signal: stop });
    }
  } catch (error) {
    // Ctrl-C ends a survey, which is good for what it has seen.
    if (!isInterrupt(error)) throw error;
  } finally {
    progress.end();
    targets.close();
  }
  await print(survey.result(), out);
};

const print = async (surveyed: Surveyed, out: ReturnType<typeof outputOf>): Promise<void> => {
  if (out.format !== 'table') return out.object(surveyed);
  const { looks, sampled, processes, runtimes } = surveyed;
  out.note(`${looks} looks at ${processes.length} processes (${runtimes.join(', ')}), ${sampled} of them saw a stack`);
  await out.rows(surveyed.functions.map(row), ['function', 'looks', 'innermost', 'file', 'parameters']);
};
