/** What JSON allows and a policy may not have. */
export interface JsonFault {
  readonly what: 'repeated' | 'depth';
  /** The key that stands there a second time. */
  readonly key: string;
  readonly offset: number;
}

/** Where a text of JSON that starts with a quote ends: behind the closing one. */
const endOfText = (text: string, start: number): number => {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
};

/**
 * Finds a key that stands twice in its object, or nesting deeper than `most`, in what JSON.parse takes: that one keeps the last of
 * such keys and says nothing. Linear, without recursion.
 */
export const jsonFault = (text: string, most: number): JsonFault | undefined => {
  /** Keys of the objects around; null for a list. */
  const open: (Set<string> | null)[] = [];
  let isKey = false;
  for (let at = 0; at < text.length; at++) {
    const c = text[at];
    if (c === '{' || c === '[') {
      if (open.length >= most) return { what: 'depth', key: '', offset: at };
      open.push(c === '{' ? new Set() : null);
      isKey = c === '{';
    } else if (c === '}' || c === ']') {
      open.pop();
      isKey = false;
    } else if (c === ',') isKey = open.at(-1) !== null;
    else if (c === '"') {
      const end = endOfText(text, at);
      const keys = open.at(-1);
      if (isKey && keys != null) {
        const key = JSON.parse(text.slice(at, end)) as string;
        if (keys.has(key)) return { what: 'repeated', key, offset: at };
        keys.add(key);
      }
      isKey = false;
      at = end - 1;
    }
  }
  return undefined;
};
