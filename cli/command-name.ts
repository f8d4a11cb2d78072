/** Options that may stand in front of the command and take the next word. */
const TAKES_A_WORD = new Set(['--output', '--config']);

/** The first word of a command line that is no option; '' if it has none. */
export const commandName = (argv: readonly string[]): string => {
  let at = 0;
  while (argv[at]?.startsWith('-') === true) at += TAKES_A_WORD.has(argv[at]!) ? 2 : 1;
  return argv[at] ?? '';
};
