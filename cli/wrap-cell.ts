/** No column is made narrower than this for the sake of others. */
const NARROWEST = 12;

/** Narrows the widest columns until all fit into `room`; those that are narrow already stay as they are. */
export const fitWidths = (natural: readonly number[], room: number): readonly number[] => {
  let widest = Math.max(NARROWEST, ...natural);
  const total = (most: number): number => natural.reduce((sum, width) => sum + Math.min(width, most), 0);
  while (widest > NARROWEST && total(widest) > room) widest--;
  return natural.map((width) => Math.min(width, widest));
};

/** Text as lines of at most `width`, cut at blanks where there are some; `…` stands for what more than `tallest` lines would hold. */
export const wrapCell = (text: string, width: number, tallest: number): readonly string[] => {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > width) {
    if (lines.length === tallest - 1) {
      lines.push(`${rest.slice(0, width - 1)}…`);
      return lines;
    }
    const blank = rest.lastIndexOf(' ', width);
    const end = blank > 0 ? blank : width;
    lines.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  lines.push(rest);
  return lines;
};
