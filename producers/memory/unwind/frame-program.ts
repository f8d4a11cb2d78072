import type { Cursor } from '../elf/byte-source.js';
import type { CfaRule, RegisterRule } from './unwind-row.js';

const MAX_STEPS = 100_000;
const MAX_REMEMBERED = 64;
const MAX_RULES = 160;

/** The table row that call frame instructions build up. */
export interface RowState {
  cfa: CfaRule;
  rules: Map<number, RegisterRule>;
}

export interface ProgramFactors {
  readonly codeAlign: number;
  readonly dataAlign: number;
  /** Encoding and address for DW_CFA_set_loc. */
  location(code: Cursor): number;
}

const set = (code: Cursor, state: RowState, register: number, rule: RegisterRule): void => {
  if (state.rules.size >= MAX_RULES && !state.rules.has(register)) code.fail('rules for too many registers');
  state.rules.set(register, rule);
};

const restore = (state: RowState, initial: RowState | null, register: number): void => {
  const rule = initial?.rules.get(register);
  if (rule === undefined) state.rules.delete(register);
  else state.rules.set(register, rule);
};

const block = (code: Cursor): Buffer => {
  const length = code.uleb();
  const at = code.at;
  code.skip(length);
  return code.bytes.subarray(at, at + length);
};

const cfaRegister = (code: Cursor, state: RowState): { register: number; offset: number } =>
  state.cfa.expression === null ? state.cfa : code.fail('a frame address register in place of an expression');

/**
 * Runs call frame instructions (DWARF 5 §6.4.2) until the location passes `pc`, changing `state`. `initial` is the row that the
 * common instructions made. Throws with the cursor's code.
 */
export const runFrameProgram = (
  code: Cursor,
  factors: ProgramFactors,
  state: RowState,
  initial: RowState | null,
  start: number,
  pc: number,
): void => {
  const remembered: RowState[] = [];
  let location = start;
  for (let steps = 0; !code.done; steps++) {
    if (steps > MAX_STEPS) code.fail('call frame information without end');
    const op = code.u8();
    const low = op & 0x3f;
    if (op >> 6 === 1) location += low * factors.codeAlign;
    else if (op >> 6 === 2) set(code, state, low, { kind: 'offset', offset: code.uleb() * factors.dataAlign });
    else if (op >> 6 === 3) restore(state, initial, low);
    else if (op >= 0x01 && op <= 0x04) {
      if (op === 0x01) location = factors.location(code);
      else location += (op === 0x02 ? code.u8() : op === 0x03 ? code.u16() : code.u32()) * factors.codeAlign;
    } else if (op === 0x0a) {
      if (remembered.length >= MAX_REMEMBERED) code.fail('too many remembered states');
      remembered.push({ cfa: state.cfa, rules: new Map(state.rules) });
    } else if (op === 0x0b) {
      const before = remembered.pop() ?? code.fail('no remembered state');
      state.cfa = before.cfa;
      state.rules = before.rules;
    } else instruct(code, op, factors.dataAlign, state, initial);
    if (location > pc) return;
  }
};

/** The instructions that change the row. */
const instruct = (code: Cursor, op: number, dataAlign: number, state: RowState, initial: RowState | null): void => {
  switch (op) {
    case 0x00: // nop
    case 0x2c: // AARCH64_negate_ra_state_with_pc
    case 0x2d: // AARCH64_negate_ra_state: signatures are stripped from every return address anyway
      break;
    case 0x05: // offset_extended
      set(code, state, code.uleb(), { kind: 'offset', offset: code.uleb() * dataAlign });
      break;
    case 0x06: // restore_extended
      restore(state, initial, code.uleb());
      break;
    case 0x07:
      set(code, state, code.uleb(), { kind: 'undefined' });
      break;
    case 0x08:
      set(code, state, code.uleb(), { kind: 'same' });
      break;
    case 0x09:
      set(code, state, code.uleb(), { kind: 'register', register: code.uleb() });
      break;
    case 0x0c: // def_cfa
      state.cfa = { register: code.uleb(), offset: code.uleb(), expression: null };
      break;
    case 0x0d: // def_cfa_register
      state.cfa = { register: code.uleb(), offset: cfaRegister(code, state).offset, expression: null };
      break;
    case 0x0e: // def_cfa_offset
      state.cfa = { register: cfaRegister(code, state).register, offset: code.uleb(), expression: null };
      break;
    case 0x0f: // def_cfa_expression
      state.cfa = { expression: block(code) };
      break;
    case 0x10:
      set(code, state, code.uleb(), { kind: 'expression', expression: block(code) });
      break;
    case 0x11: // offset_extended_sf
      set(code, state, code.uleb(), { kind: 'offset', offset: code.sleb() * dataAlign });
      break;
    case 0x12: // def_cfa_sf
      state.cfa = { register: code.uleb(), offset: code.sleb() * dataAlign, expression: null };
      break;
    case 0x13: // def_cfa_offset_sf
      state.cfa = { register: cfaRegister(code, state).register, offset: code.sleb() * dataAlign, expression: null };
      break;
    case 0x14:
      set(code, state, code.uleb(), { kind: 'value-offset', offset: code.uleb() * dataAlign });
      break;
    case 0x15: // val_offset_sf
      set(code, state, code.uleb(), { kind: 'value-offset', offset: code.sleb() * dataAlign });
      break;
    case 0x16:
      set(code, state, code.uleb(), { kind: 'value-expression', expression: block(code) });
      break;
    case 0x2e: // GNU_args_size: only throwing needs it
      code.uleb();
      break;
    case 0x2f: // GNU_negative_offset_extended
      set(code, state, code.uleb(), { kind: 'offset', offset: -code.uleb() * dataAlign });
      break;
    default:
      code.fail(`call frame instruction ${op} is not known`);
  }
};
