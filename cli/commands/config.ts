import type { Command } from 'commander';
import { configurationOf } from '../configuration.js';
import { examples } from '../examples.js';
import { outputOf } from '../output.js';
import { SETTING_NAMES, SETTINGS, type Setting, variableOf } from '../settings-table.js';

/** Passwords inside of addresses: `http://user:PASSWORD@host`. */
const maskAddress = (text: string): string => text.replace(/(:\/\/[^/@:\s]*:)[^/@\s]*@/g, '$1***@');

const shown = (value: unknown, secret: boolean): unknown => {
  if (secret) return '***';
  return typeof value === 'string' ? maskAddress(value) : value;
};

export const register = (program: Command): void => {
  const config = program.command('config').description('the settings in force, and which there are');
  config
    .command('print')
    .description('print the settings in force and whence each comes; secrets are masked')
    .addHelpText('after', examples(['config print', 'what the commands would use here']))
    .action(async (_options: object, command: Command) => {
      const found = configurationOf(command);
      await outputOf(command).rows(
        SETTING_NAMES.flatMap((name) => {
          const sourced = found[name];
          if (sourced === undefined) return [];
          const { secret }: Setting = SETTINGS[name];
          return [{ setting: name, value: shown(sourced.value, secret === true), source: sourced.source }];
        }),
        ['setting', 'value', 'source'],
      );
    });
  config
    .command('schema')
    .description('print the JSON Schema of attestream.config.yaml')
    .addHelpText('after', examples(['config schema > attestream.schema.json', 'for editors that check while you type']))
    .action(async (_options: object, command: Command) => {
      const properties = SETTING_NAMES.map((name) => {
        const { type, describes }: Setting = SETTINGS[name];
        const form = type === 'list' ? { type: 'array', items: { type: 'string' } } : { type };
        return [name, { ...form, description: `${describes} (${variableOf(name)})` }];
      });
      const schema = {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        title: 'attestream.config.yaml',
        type: 'object',
        additionalProperties: false,
        properties: Object.fromEntries(properties),
      };
      await outputOf(command).text(`${JSON.stringify(schema, null, 2)}\n`);
    });
};
