/** Where a caller's register is, told relative to the frame that called no one yet or called on. */
export type RegisterRule =
  /** The callee has not touched it. */
  | { readonly kind: 'same' }
  /** Gone; as the rule of the return address it marks the outermost frame. */
  | { readonly kind: 'undefined' }
  /** In memory at CFA + offset. */
  | { readonly kind: 'offset'; readonly offset: number }
  /** The value CFA + offset itself. */
  | { readonly kind: 'value-offset'; readonly offset: number }
  /** In another register. */
  | { readonly kind: 'register'; readonly register: number }
  /** In memory at the address that an expression gives; `value-expression`: the value itself. */
  | { readonly kind: 'expression' | 'value-expression'; readonly expression: Buffer };

/** How the canonical frame address is computed: register + offset, or an expression. */
export type CfaRule =
  | { readonly register: number; readonly offset: number; readonly expression: null }
  | { readonly expression: Buffer };

/** Where a frame's caller stands, as the compiler's call frame information has it for one pc. Registers by DWARF number. */
export interface UnwindRow {
  /** Link-time start of the function part that the row is for. */
  readonly start: number;
  readonly size: number;
  readonly cfa: CfaRule;
  /** Registers without a rule are unchanged where the ABI has the callee keep them, else unknown. */
  readonly registers: ReadonlyMap<number, RegisterRule>;
  readonly returnRegister: number;
  /** Nothing called this function: the stack ends here. */
  readonly outermost: boolean;
  /** The kernel built this frame to deliver a signal. */
  readonly signal: boolean;
}
