/** XState's paths: keys joined by dots, a backslash takes the next character as it is. */
export const splitPath = (path: string): string[] => {
  const keys: string[] = [];
  let key = '';
  for (let i = 0; i < path.length; i++) {
    if (path[i] === '\\') key += path[++i] ?? '';
    else if (path[i] === '.') {
      keys.push(key);
      key = '';
    } else key += path[i];
  }
  keys.push(key);
  return keys;
};
