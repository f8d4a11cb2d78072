import { demangle } from './demangle.js';

/** A function as its source names it, and as the linker does where that differs; '' where it does not. */
export interface FunctionName {
  readonly function: string;
  readonly linkageName: string;
}

export const functionName = (symbol: string): FunctionName => {
  const plain = demangle(symbol);
  return { function: plain, linkageName: plain === symbol ? '' : symbol };
};

/** Without parameters, template arguments kept: `ns::Device<int>::set(int) const` → `ns::Device<int>::set`. */
export const withoutParameters = (name: string): string => {
  const bare = name.replace(/ \[clone [^\]]*\]$/g, '');
  let depth = 0;
  for (let at = bare.length - 1; at >= 0; at--) {
    const letter = bare[at];
    if (letter === ')') depth++;
    else if (letter === '(' && --depth === 0) {
      const before = bare.slice(0, at);
      // `(anonymous namespace)::` and `operator()` are part of a name.
      return before === '' || before.endsWith('::') || before.endsWith('operator') ? bare : before;
    }
  }
  return bare;
};

/** Whether a user who writes `wanted` means a symbol: by its linkage name, its source name, or that without parameters. */
export const means = (wanted: ReadonlySet<string>, symbol: string): boolean => {
  if (wanted.has(symbol)) return true;
  const plain = demangle(symbol);
  return plain !== symbol && (wanted.has(plain) || wanted.has(withoutParameters(plain)));
};
