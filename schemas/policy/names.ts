/** Names that events of processes have beside calls of functions. */
export const PROCESS_EVENTS = ['$start', '$exec', '$fork', '$exit'] as const;

const MAX_NAME = 512;

/** Why a word cannot be the name of a function, a parameter or a variable; undefined if it can. */
export const refusedName = (name: string): string | undefined => {
  if (name === '') return 'an empty name';
  if (name.length > MAX_NAME) return `a name of more than ${MAX_NAME} characters`;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return 'a name with control characters';
  }
  return undefined;
};

/** As `refusedName`, for what may be an event of the machine. */
export const refusedEventName = (name: string): string | undefined => {
  const refused = refusedName(name);
  if (refused !== undefined) return refused;
  if (name.startsWith('$')) return 'names with "$" are kept for events of processes';
  if (name === '*' || name.endsWith('.*')) return '"*" stands for any event and is no name';
  if (name.startsWith('xstate.')) return 'names with "xstate." are kept by XState';
  return undefined;
};
