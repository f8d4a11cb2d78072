/** The examples at the end of a command's help. */
export const examples = (...lines: readonly (readonly [command: string, does: string])[]): string =>
  `\nExamples:\n${lines.map(([command, does]) => `  $ attestream ${command}\n      ${does}`).join('\n')}`;
