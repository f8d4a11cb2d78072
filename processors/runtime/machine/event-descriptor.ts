/**
 * Does an `on` key speak of this event? XState's rules: the same word, `*`, or a prefix of whole dot-separated tokens
 * that ends in `.*` (which also matches the prefix alone).
 */
export const describesEvent = (descriptor: string, event: string): boolean => {
  if (descriptor === event || descriptor === '*') return true;
  if (!descriptor.endsWith('.*')) return false;
  const wanted = descriptor.split('.');
  const tokens = event.split('.');
  for (let i = 0; i < wanted.length; i++) {
    // A star anywhere but at the end matches nothing.
    if (wanted[i] === '*') return i === wanted.length - 1;
    if (wanted[i] !== tokens[i]) return false;
  }
  return true;
};

/** The keys that speak of an event, in the order XState tries them: the word itself, then wildcards from long to short. */
export const descriptorsFor = (descriptors: Iterable<string>, event: string): readonly string[] => {
  const wild: string[] = [];
  let exact = false;
  for (const descriptor of descriptors) {
    if (descriptor === event) exact = true;
    else if (describesEvent(descriptor, event)) wild.push(descriptor);
  }
  wild.sort((a, b) => b.length - a.length);
  return exact ? [event, ...wild] : wild;
};
