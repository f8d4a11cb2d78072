/** Longest word that is compared: input chooses words, so the work per word is bounded. */
const MAX_LENGTH = 64;

/** Number of insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b` (optimal string alignment). */
const distance = (a: string, b: string): number => {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      row.push(cost);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
};

/** The word of `words` that a person most likely meant by `word`; undefined if none is near. The first wins among equals. */
export const nearest = (word: string, words: Iterable<string>): string | undefined => {
  if (word.length === 0 || word.length > MAX_LENGTH) return undefined;
  const lower = word.toLowerCase();
  // About one slip in three letters; a single letter bears none but its case.
  const tolerance = Math.floor((word.length + 1) / 3);
  let best: string | undefined;
  let least = tolerance + 1;
  for (const candidate of words) {
    if (Math.abs(candidate.length - word.length) > tolerance) continue;
    const apart = distance(lower, candidate.toLowerCase());
    if (apart < least) {
      least = apart;
      best = candidate;
    }
  }
  return best;
};

/** A question for the end of an error message, or a list of what is known where nothing is near. */
export const didYouMean = (word: string, words: Iterable<string>): string => {
  const known = [...words];
  const near = nearest(word, known);
  if (near !== undefined) return `did you mean "${near}"?`;
  if (known.length === 0) return '';
  const shown = known.slice(0, 12).join(', ');
  return `known: ${shown}${known.length > 12 ? ', …' : ''}`;
};
