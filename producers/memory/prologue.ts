/**
 * How far a function that keeps a frame pointer has moved SP when it calls another: bytes from SP up to its frame address.
 * Reads [endbr64] push rbp; mov rbp,rsp; pushes of kept registers; sub rsp,N. Null if the function does not begin like that.
 * Arguments passed on the stack move SP further: the result is a candidate that the return address must confirm.
 */
export const framePointerDepth = (code: Uint8Array): number | null => {
  let at = 0;
  if (code[0] === 0xf3 && code[1] === 0x0f && code[2] === 0x1e && code[3] === 0xfa) at = 4;
  if (code[at] !== 0x55) return null;
  at++;
  const move =
    code[at] === 0x48 &&
    ((code[at + 1] === 0x89 && code[at + 2] === 0xe5) || (code[at + 1] === 0x8b && code[at + 2] === 0xec));
  if (!move) return null;
  at += 3;
  let depth = 16;
  for (let pushes = 0; pushes < 8; pushes++) {
    if (code[at] === 0x41 && code[at + 1]! >= 0x54 && code[at + 1]! <= 0x57) at += 2;
    else if (code[at] === 0x53) at += 1;
    else break;
    depth += 8;
  }
  if (code[at] === 0x48 && code[at + 2] === 0xec) {
    if (code[at + 1] === 0x83) return depth + code[at + 3]!;
    if (code[at + 1] === 0x81)
      return depth + code[at + 3]! + code[at + 4]! * 2 ** 8 + code[at + 5]! * 2 ** 16 + code[at + 6]! * 2 ** 24;
  }
  return depth;
};
