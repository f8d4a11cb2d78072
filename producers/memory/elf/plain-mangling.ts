/** Tokens of the Itanium C++ ABI ("External Names") that stand for types, names and qualifiers, and for nothing that nests expressions. */
const PLAIN = /^(?:[NKVrROPGCIJEvwbcahstijlmxynofdegzU]|S[a-zA-Z]|D[npdefhisuaoc0-5]|[CD][0-5])/;
const BACK_REFERENCE = /^[ST][0-9A-Z]*_/;
const INTEGER = /^L[bijmlxychstaw]n?\d+E/;
const OPERATOR =
  /^(?:nw|na|dl|da|ps|ng|ad|de|co|pl|mi|ml|dv|rm|an|or|eo|aS|pL|mI|mL|dV|rM|aN|oR|eO|ls|rs|lS|rS|eq|ne|lt|gt|le|ge|ss|nt|aa|oo|pp|mm|cm|pm|pt|cl|ix|qu)/;
const IDENTIFIER = /^(\d{1,4})(?!\d)/;
/** Behind these, where there are closures or scopes, digits and an underscore number one; elsewhere a name begins with the underscore. */
const NUMBERED = new Set(['E', 't', 'd']);

/**
 * Whether a mangled C++ name holds no expression: array bounds, `decltype` and computed template arguments make demanglers
 * backtrack without end, and a program may choose its names. What is not certainly plain is not plain.
 */
export const isPlainMangling = (name: string): boolean => {
  let rest = name.replace(/^_{1,2}Z/, '').replace(/\..*$/, '');
  if (rest === name || rest === '') return false;
  if (/^(?:T[VTIS]|GV)/.test(rest)) rest = rest.slice(2);
  let scoped = false;
  for (let before = ''; rest !== ''; ) {
    const identifier = IDENTIFIER.exec(rest);
    if (identifier !== null) {
      const end = identifier[0].length + Number(identifier[1]);
      if (end > rest.length || (scoped && NUMBERED.has(before) && rest[identifier[0].length] === '_')) return false;
      before = '';
      rest = rest.slice(end);
      continue;
    }
    const token =
      BACK_REFERENCE.exec(rest) ??
      INTEGER.exec(rest) ??
      PLAIN.exec(rest) ??
      OPERATOR.exec(rest) ??
      /^(?:[BL](?=\d)|Z(?=[\dN]))/.exec(rest);
    if (token === null) return false;
    before = token[0];
    scoped ||= before === 'U' || before === 'Z';
    rest = rest.slice(before.length);
  }
  return true;
};
