import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { buildProgram } from '../../cli/program.js';
import { readText } from '../support/sources.js';

const program = await buildProgram({
  stdout: new PassThrough(),
  stderr: new PassThrough(),
  env: {},
  stop: new AbortController().signal,
});

/** Commands that do something, by their full names. */
const leaves = (command: Command, path: readonly string[]): readonly (readonly [name: string, command: Command])[] =>
  command.commands.length === 0
    ? [[path.join(' '), command]]
    : command.commands.flatMap((child) => leaves(child, [...path, child.name()]));

const page = readText('docs/commands.md');
const sections = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((text) => [text.slice(0, text.indexOf('\n')), text] as const),
);
const flagsOf = (text: string): string[] => [...text.matchAll(/^\| `([^`]*--[^`]*)` \|/gm)].map(([, flags]) => flags!);
const optionsOf = (command: Command): string[] => command.options.map(({ flags }) => flags);
const commands = program.commands.flatMap((child) => leaves(child, [child.name()]));

/** Sections that describe no command. */
const GENERAL = ['Exit codes', 'Settings', 'Ranges'];

test('every command has its section, and every section its command', () => {
  expect([...sections.keys()].filter((name) => !GENERAL.includes(name)).sort()).toEqual(
    commands.map(([name]) => name).sort(),
  );
});

test.each(commands)('%s: the options of its section are its options', (name, command) => {
  expect(flagsOf(sections.get(name) ?? '').sort()).toEqual(optionsOf(command).sort());
});

test('the options of the program itself are at the beginning of the page', () => {
  const general = flagsOf(page.slice(0, page.indexOf('\n## ')));
  expect(general.sort()).toEqual(['-h, --help', ...optionsOf(program)].sort());
});

/** Words of a command line that name a command: `trace cat`, but of `look 4711` only `look`. */
const names = new Set(commands.map(([name]) => name));

test('what README and pages show are commands that exist, with options that they have', () => {
  const shown = [
    'README.md',
    'docs/commands.md',
    'docs/kafka.md',
    'docs/clickhouse.md',
    'docs/traces.md',
    'docs/how-it-works.md',
  ]
    .map(readText)
    .flatMap((text) => [...text.replace(/\\\n\s*/g, ' ').matchAll(/^ {4,}(?:npx )?attestream ([a-z].*)$/gm)])
    .map(([, line]) => line!.split(/ {2,}#? ?| -- | > | && /)[0]!);
  expect(shown.length).toBeGreaterThan(20);
  for (const line of shown) {
    const words = line.split(' ');
    const name = [3, 2, 1].map((n) => words.slice(0, n).join(' ')).find((candidate) => names.has(candidate));
    expect({ line, name }).toEqual({ line, name: expect.any(String) });
    const command = commands.find(([known]) => known === name)![1];
    const known = [...command.options, ...program.options].flatMap(({ long, short }) => [long, short]);
    for (const word of words)
      if (/^--?[a-z]/.test(word))
        expect({ line, option: word, known: known.includes(word) }).toMatchObject({ known: true });
  }
});
