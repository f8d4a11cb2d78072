import { existsSync, readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { parseDocument } from 'yaml';
import { AttestreamError } from '../schemas/errors.js';
import { didYouMean } from '../schemas/suggest.js';
import { ioOf } from './io.js';
import { SETTING_NAMES, SETTINGS, type Setting, type SettingName, variableOf } from './settings-table.js';

export type SettingValue = string | number | readonly string[];

/** A value and whence it came: `--log`, `ATTESTREAM_LOG`, or a file. */
export interface Sourced {
  readonly value: SettingValue;
  readonly source: string;
}

export type Configuration = Readonly<Partial<Record<SettingName, Sourced>>>;

export const CONFIGURATION_FILE = 'attestream.config.yaml';

const MAX_BYTES = 1024 * 1024;

const checked = (name: SettingName, value: unknown, source: string): SettingValue => {
  const { type }: Setting = SETTINGS[name];
  const bad = (wanted: string): AttestreamError =>
    new AttestreamError('CONFIG_INVALID', `${source} must be ${wanted}`, { path: source });
  if (type === 'list') {
    const list = Array.isArray(value) ? value : [value];
    if (list.some((item) => typeof item !== 'string')) throw bad('a text or a list of texts');
    return list as string[];
  }
  if (type === 'integer') {
    const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0) throw bad('a whole number');
    return number;
  }
  if (typeof value !== 'string' || value === '') throw bad('a text that is not empty');
  return value;
};

const readText = (file: string): string => {
  try {
    if (statSync(file).size > MAX_BYTES) throw new Error(`larger than ${MAX_BYTES} bytes`);
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new AttestreamError(
      'CONFIG_INVALID',
      `the file cannot be read: ${(cause as Error).message}`,
      { path: file },
      { cause },
    );
  }
};

const fromFile = (file: string): Partial<Record<SettingName, Sourced>> => {
  const document = parseDocument(readText(file), { uniqueKeys: true });
  const flaw = document.errors[0];
  if (flaw !== undefined)
    throw new AttestreamError('CONFIG_INVALID', `not readable as YAML: ${flaw.message.split('\n')[0]}`, { path: file });
  const parsed: unknown = document.toJS({ maxAliasCount: 16 }) ?? {};
  if (typeof parsed !== 'object' || Array.isArray(parsed))
    throw new AttestreamError('CONFIG_INVALID', 'the configuration must be a mapping of names to values', {
      path: file,
    });
  const found: Partial<Record<SettingName, Sourced>> = {};
  for (const [key, value] of Object.entries(parsed as object)) {
    const name = SETTING_NAMES.find((known) => known === key);
    if (name === undefined)
      throw new AttestreamError(
        'CONFIG_UNKNOWN_KEY',
        `the key ${JSON.stringify(key)} is not known; ${didYouMean(key, SETTING_NAMES)}`,
        { path: file },
      );
    found[name] = { value: checked(name, value, `${file}: ${key}`), source: file };
  }
  return found;
};

const fromEnvironment = (env: NodeJS.ProcessEnv): Partial<Record<SettingName, Sourced>> => {
  const found: Partial<Record<SettingName, Sourced>> = {};
  for (const name of SETTING_NAMES) {
    const variable = variableOf(name);
    const direct = env[variable];
    const file = env[`${variable}_FILE`];
    if (direct !== undefined && direct !== '') {
      const { type }: Setting = SETTINGS[name];
      found[name] = { value: checked(name, type === 'list' ? direct.split(',') : direct, variable), source: variable };
    } else if (file !== undefined && file !== '')
      found[name] = {
        value: checked(name, readText(file).replace(/\r?\n$/, ''), `${variable}_FILE`),
        source: `${variable}_FILE`,
      };
  }
  return found;
};

/** What environment and configuration file say; the environment prevails. Throws CONFIG_INVALID, CONFIG_UNKNOWN_KEY. */
export const readConfiguration = (env: NodeJS.ProcessEnv, file: string | undefined): Configuration => {
  const named = file ?? env['ATTESTREAM_CONFIG'];
  const path =
    named !== undefined && named !== '' ? named : existsSync(CONFIGURATION_FILE) ? CONFIGURATION_FILE : undefined;
  return { ...(path === undefined ? {} : fromFile(path)), ...fromEnvironment(env) };
};

export const configurationOf = (command: Command): Configuration =>
  readConfiguration(ioOf(command).env, command.optsWithGlobals<{ config?: string }>().config);

/** A setting as flags, environment and file say it, in this order; undefined if none does. */
export const setting = (command: Command, name: SettingName): SettingValue | undefined => {
  const flag = command.optsWithGlobals<Record<string, unknown>>()[name];
  if (flag !== undefined && !(Array.isArray(flag) && flag.length === 0)) return flag as SettingValue;
  return configurationOf(command)[name]?.value;
};

export const textSetting = (command: Command, name: SettingName): string | undefined => {
  const value = setting(command, name);
  return value === undefined ? undefined : String(value);
};

/** Throws USAGE with the ways to give it. */
export const requiredSetting = (command: Command, name: SettingName, flag = `--${name}`): string => {
  const value = textSetting(command, name);
  if (value !== undefined) return value;
  throw new AttestreamError(
    'USAGE',
    `${flag} is missing: ${SETTINGS[name].describes} (or ${variableOf(name)}, or ${name} in ${CONFIGURATION_FILE})`,
  );
};
